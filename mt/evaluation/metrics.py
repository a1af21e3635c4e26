"""Results of the benchmarks as rows of a metrics table."""

from __future__ import annotations

from mt.evaluation.alpaca_eval import WinRate
from mt.evaluation.arena_hard import ArenaScore
from mt.evaluation.length_control import LengthControlledWinRate
from mt.evaluation.pairwise import WinTieLose
from mt.evaluation.reward_bench import RewardBenchScore
from mt.evaluation.reward_bench_2 import RewardBench2Score
from mt.evaluation.statistics import Interval
from mt.types import Metric


def alpaca_eval_metrics(
    score: WinRate, controlled: LengthControlledWinRate | None = None, benchmark: str = "alpaca_eval"
) -> list[Metric]:
    """Return win rates in percent, mean length in characters and the number of missing judgments."""
    rows = [
        _metric(benchmark, "win_rate", score.win_rate, score.win_rate_interval, score.n),
        _metric(benchmark, "discrete_win_rate", score.discrete_win_rate, score.discrete_win_rate_interval, score.n),
        _metric(benchmark, "avg_length", score.average_length, None, score.n + score.missing),
        _metric(benchmark, "missing", score.missing, None, score.n + score.missing),
    ]
    if score.standard_error is not None:
        rows.append(_metric(benchmark, "standard_error", score.standard_error, None, score.n))
    if controlled is not None:
        rows.append(_metric(benchmark, "lc_win_rate", controlled.win_rate, controlled.interval, score.n))
        if controlled.standard_error is not None:
            rows.append(_metric(benchmark, "lc_standard_error", controlled.standard_error, None, score.n))
        if controlled.C is not None:
            rows.append(_metric(benchmark, "C", controlled.C, None, score.n))
    return rows


def arena_hard_metrics(score: ArenaScore, benchmark: str = "arena_hard") -> list[Metric]:
    """Return the score in percent and the counts of rows and dropped games."""
    counts = {"wins": score.wins, "ties": score.ties, "losses": score.losses, "dropped": score.dropped}
    return [
        _metric(benchmark, "score", score.score, score.interval, score.n),
        *(_metric(benchmark, name, value, None, score.n) for name, value in counts.items()),
    ]


def reward_bench_metrics(score: RewardBenchScore, benchmark: str = "reward_bench") -> list[Metric]:
    """Return the sections at hand and their average in percent, and the number of ties."""
    rows = [
        _metric(benchmark, slug(name), value, score.section_intervals[name], score.n)
        for name, value in score.sections.items()
        if value is not None
    ]
    if score.average is not None:
        rows.append(_metric(benchmark, "average", score.average, score.average_interval, score.n))
    if score.ties is not None:
        rows.append(_metric(benchmark, "ties", score.ties, None, score.n))
    return rows


def reward_bench_2_metrics(score: RewardBench2Score, benchmark: str = "reward_bench_2") -> list[Metric]:
    """Return the subsets at hand and their average in percent, and the number of best scores that are shared."""
    rows = [
        _metric(benchmark, slug(name), value, score.subset_intervals[name], score.n)
        for name, value in score.subsets.items()
    ]
    if score.average is not None:
        rows.append(_metric(benchmark, "average", score.average, score.average_interval, score.n))
    if score.shared is not None:
        rows.append(_metric(benchmark, "shared_best", score.shared, None, score.n))
    return rows


def win_tie_lose_metrics(score: WinTieLose, benchmark: str) -> list[Metric]:
    """Return wins, ties and losses in percent of the judged prompts, the win rate and the missing judgments."""
    shares = zip(("win", "tie", "lose"), score.shares, strict=True)
    return [
        _metric(benchmark, "win_rate", score.win_rate, score.interval, score.n),
        *(_metric(benchmark, name, value, None, score.n) for name, value in shares),
        _metric(benchmark, "missing", score.missing, None, score.n + score.missing),
    ]


def slug(name: str) -> str:
    """Return a section's name as a metric's: "Chat Hard" is chat_hard."""
    return name.lower().replace(" ", "_")


def _metric(benchmark: str, metric: str, value: float, interval: Interval | None, n: int | None) -> Metric:
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return Metric(benchmark, metric, float(value), low, high, n)
