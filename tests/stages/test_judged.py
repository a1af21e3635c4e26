"""The judged benchmarks on judgments written by hand, and their files read by the tool that scores files."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis.score import main as score
from mt.engines.judging.gold import GoldJudge
from mt.engines.judging.reward_model import RewardModelJudge
from mt.engines.scoring.local import LocalRewardModel
from mt.errors import DataError, JudgeError
from mt.stages.evaluate_judged import GAMED, AlpacaEval, ArenaHard, GamedBaseline, PairwiseWinRate
from mt.stages.evaluate_reward_bench import RewardBench, RewardBench2
from mt.stages.judge import Judge, JudgeOverNetwork, JudgeScores
from mt.stages.judging import Oracle
from mt.stages.score import Score
from mt.types import Judgment, Rewards
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.work import Work
from mt.world.gold import gold
from mt.world.prompts import prompts
from mt.world.world import build_world
from tests.engines.settings import scorer_config
from tests.engines.tiny import tiny_reward
from tests.stages.bench import TEMPLATE, Bench, given, samples, world


def judgment(name: str, order: str, preference: float | None = None, verdict: str | None = None) -> Judgment:
    return Judgment(name, order, preference, verdict, "raw", None if preference or verdict else "lost", "judge", "1")


def scored(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert score([*map(str, arguments), "--json", "--rounds", "50"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def alpaca(gamed: Any = None) -> AlpacaEval:
    """Four instructions: won, lost, a draw, and one that was not judged."""
    names = ("a", "b", "c", "d")
    baseline = given(*(samples(name, "four", asked=name) for name in names))
    model = given(
        *(samples(name, text, asked=name) for name, text in zip(names, ("x", "xxx", "xx", "xx"), strict=True))
    )
    preferences = (2.0, 1.0, 1.5, None)
    judged = given(*(judgment(n, "model_first", p) for n, p in zip(names, preferences, strict=True)))
    return AlpacaEval(baseline, model, judged, gamed, 20)


def test_alpaca_eval_by_hand(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    stage = alpaca()
    metrics = bench.metrics(stage)
    assert metrics["alpaca_eval/win_rate"] == pytest.approx(50.0)
    assert metrics["alpaca_eval/avg_length"] == pytest.approx(2.0)
    assert metrics["alpaca_eval/missing"] == 1
    assert "alpaca_eval/lc_win_rate" not in metrics
    values = scored(capsys, "alpaca_eval", bench.run(stage) / "annotations.json")
    assert values["win_rate"] == pytest.approx(50.0)
    assert (values["n"], values["missing"], values["judge"]) == (3, 1, "judge 1")
    records = json.loads((bench.run(stage) / "annotations.json").read_text())
    assert [(one["instruction"], one["output_1"], one["output_2"]) for one in records][:2] == [
        ("a", "four", "x"),
        ("b", "four", "xxx"),
    ]


def gamed() -> GamedBaseline:
    names = ("a", "b", "c", "d")
    baseline = given(*(samples(name, "four", asked=name) for name in names))
    verbose = given(*(samples(name, "four and more", asked=name) for name in names))
    concise = given(*(samples(name, "4", asked=name) for name in names))
    judged = [
        given(*(judgment(name, "baseline_first", 1 + value) for name, value in zip(names, values, strict=True)))
        for values in ((0.9, 0.8, 0.7, 0.9), (0.1, 0.2, 0.4, 0.1))
    ]
    return GamedBaseline(baseline, (verbose, concise), tuple(judged))


def test_the_length_controls_anchors_are_a_file_that_scoring_reads(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = gamed()
    with (bench.run(anchors) / GAMED).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["model"] == "verbose" and float(rows[0]["preference"]) == pytest.approx(0.9)
    assert {row["model"] for row in rows} == {"verbose", "concise"}
    lengths = {row["model"]: float(row["std_delta_len"]) for row in rows}
    assert lengths["verbose"] != lengths["concise"]
    stage = alpaca(anchors)
    metrics = bench.metrics(stage)
    values = scored(capsys, "alpaca_eval", bench.run(stage) / "annotations.json", "--gamed", bench.run(anchors) / GAMED)
    assert values["lc_win_rate"] == pytest.approx(metrics["alpaca_eval/lc_win_rate"])


def test_a_benchmark_with_a_judgment_too_few_is_refused(bench: Bench) -> None:
    one = alpaca()
    with pytest.raises(DataError, match="judgments: 1 for 0 comparisons"):
        bench.run(AlpacaEval(one.baseline, one.model, given(judgment("other", "model_first", 2.0)), None, 20))


def test_arena_hard_by_hand(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    # A is shown first: the baseline in the first game, the model in the second.
    verdicts = {"q1": ("B>A", "A>>B"), "q2": ("A=B", "B>A"), "q3": (None, "A>B")}
    games = [
        judgment(name, order, verdict=verdict)
        for name, both in verdicts.items()
        for order, verdict in zip(("baseline_first", "model_first"), both, strict=True)
    ]
    model = given(samples("q1", "one two"), samples("q2", "one"), samples("q3", "one two three"))
    stage = ArenaHard(model, given(*games), "2024")
    metrics = bench.metrics(stage)
    # Won: 1 + 3 + 1 rows, tied: 1, lost: 1.
    assert metrics["arena_hard/score"] == pytest.approx(100 * 5.5 / 7)
    assert metrics["arena_hard/avg_length"] == pytest.approx(2.0)
    assert metrics["arena_hard/dropped"] == 1
    values = scored(capsys, "arena_hard", bench.run(stage) / "judgments.jsonl")
    assert values["score"] == pytest.approx(100 * 5.5 / 7)
    head = bench.metrics(ArenaHard(model, given(*games), "head"))
    assert (head["arena_hard/wins"], head["arena_hard/dropped"]) == (4, 2)  # q3 has a game without a verdict


def test_both_orders_of_a_prompt_count_as_one_comparison(bench: Bench) -> None:
    # Won in both orders; a judge who favours the first place: a tie; lost.
    preferences = {"a": (2.0, 1.9), "b": (1.1, 1.9), "c": (1.0, 1.2)}
    rows = [
        judgment(name, order, value)
        for name, both in preferences.items()
        for order, value in zip(("baseline_first", "model_first"), both, strict=True)
    ]
    metrics = bench.metrics(PairwiseWinRate(given(*rows), "pairwise", "_vs_0"))
    shares = [metrics[f"pairwise/{name}_vs_0"] for name in ("win", "tie", "lose", "win_rate")]
    assert shares == pytest.approx([100 / 3, 100 / 3, 100 / 3, 50])


def test_reward_bench_counts_strict_order_by_section(bench: Bench) -> None:
    rewards = {"s/1": (2.0, 1.0), "s/2": (1.0, 2.0), "s/3": (1.0, 1.0), "t/4": (5.0, 0.0), "u/5": (0.0, 1.0)}
    sections = {"s": "Chat", "t": "Chat", "u": "Safety"}
    pairs = given(*(samples(name, "good", "bad", section=sections[name[0]]) for name in rewards))
    metrics = bench.metrics(RewardBench(pairs, given(*(Rewards(name, list(both)) for name, both in rewards.items()))))
    assert metrics["reward_bench/chat"] == pytest.approx(50.0)  # 2 of 4: a tie is lost, subsets by their size
    assert metrics["reward_bench/safety"] == 0
    assert metrics["reward_bench/average"] == pytest.approx(25.0)
    assert metrics["reward_bench/ties"] == 1


def test_reward_bench_2_by_hand(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    rewards = {
        "Math/1/7": (2.0, 1.0, 0.0, 0.5),
        "Math/1/8": (1.0, 1.0, 0.0, 0.5),
        "Ties/1/ref:0": (2.0, 0.0),
        "Ties/2/tied:0": (3.0, 2.0, 0.0),
    }
    prompts = given(*(samples(name, *("x",) * len(values)) for name, values in rewards.items()))
    stage = RewardBench2(prompts, given(*(Rewards(name, list(values)) for name, values in rewards.items())))
    metrics = bench.metrics(stage)
    # Both prompts of the question are right; min(2, 2) is above the spread of 1.
    ties = 100 * (0.3 + 0.3 + 0.2 + 0.2 + 0.01 * math.tanh(2 / 1 - 1))
    assert metrics["reward_bench_2/math"] == pytest.approx(75.0)
    assert metrics["reward_bench_2/ties"] == pytest.approx(ties)
    assert metrics["reward_bench_2/shared_best"] == 1
    assert "reward_bench_2/average" not in metrics
    values = scored(capsys, "reward_bench_2", bench.run(stage) / "scores.jsonl")
    assert (values["math"], values["ties"]) == (75.0, pytest.approx(ties))


JUDGE = GoldJudge(name="gold")


def compared(bench: Bench, orders: str, seed: int = 0, noise: float = 0.0) -> tuple[Judge, list[tuple[float, float]]]:
    """The gold judge on a dozen prompts: nothing against the better of two words, with both gold rewards."""
    data = world()
    built = build_world(0, data.language)
    rows = prompts(built, "eval", 12)
    texts = {row.prompt_id: ("", row.messages[-1]["content"].split()[-1]) for row in rows}
    baseline = given(*(samples(r.prompt_id, texts[r.prompt_id][0], asked=r.messages[-1]["content"]) for r in rows))
    model = given(*(samples(r.prompt_id, texts[r.prompt_id][1], asked=r.messages[-1]["content"]) for r in rows))
    oracle = Oracle(0, data.language, data.judge.model_copy(update={"noise": noise}))
    golds = [tuple(gold(built, r.messages, text) for text in texts[r.prompt_id]) for r in rows]
    return Judge(baseline, model, JUDGE, None, oracle, "preference", orders, None, seed), golds  # type: ignore[arg-type, return-value]


def test_the_gold_judge_prefers_what_gold_prefers_in_both_orders(bench: Bench) -> None:
    stage, golds = compared(bench, "both")
    rows = bench.rows(stage, Judgment)
    assert [row.order for row in rows] == ["baseline_first", "model_first"] * 12
    for (base, model), *two in zip(golds, rows[::2], rows[1::2], strict=True):
        for row in two:
            assert row.preference is not None
            assert (row.preference > 1.5) == (model > base)
            assert (row.preference < 1.5) == (model < base)


def test_a_judge_that_said_nothing_of_use_leaves_nothing_to_reuse(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.engines.judging.server import Endpoint, prefers, serving
    from tests.engines.judging.settings import openai_config

    one, _ = compared(bench, "coin")
    stage = JudgeOverNetwork(
        one.baseline, one.model, openai_config(prove_within=50), None, None, "preference", "coin", None, 0
    )
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    with serving(Endpoint(prefers(lambda messages: 0.8), lambda number: "not_json")) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        with pytest.raises(
            JudgeError, match=r"none of 12 comparisons got a usable answer \(12 times: the reply is not"
        ):
            bench.run(stage)
        assert not bench.store.has(stage)
        endpoint.faults = lambda number: None
        assert bench.counts(stage)["missing"] == 0


def test_the_coin_is_tossed_once_per_instruction_and_by_the_seed(bench: Bench) -> None:
    orders = [[row.order for row in bench.rows(compared(bench, "coin", seed)[0], Judgment)] for seed in (0, 0, 1)]
    assert len(orders[0]) == 12
    assert set(orders[0]) == {"baseline_first", "model_first"}
    assert orders[0] == orders[1] != orders[2]


@dataclass(frozen=True, eq=False)
class RewardModel(Stage):
    """A reward model with random weights."""

    def run(self, work: Work) -> None:
        tiny_reward(work.folder)


def test_a_reward_model_scores_and_judges_on_one_load(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load = list[Path](), LocalRewardModel.__init__

    def counted(self: LocalRewardModel, config: Any, folder: Path, template: Any) -> None:
        loaded.append(folder)
        load(self, config, folder, template)

    monkeypatch.setattr(LocalRewardModel, "__init__", counted)
    model, scorer = RewardModel(), scorer_config()
    judge = RewardModelJudge(name="reward_model", path=None, revision=None, scorer=scorer)
    ours, theirs = given(samples("p", "red", "blue")), given(samples("p", "green owl"))
    scored, others = Score(model, ours, scorer, TEMPLATE), Score(model, theirs, scorer, TEMPLATE)
    judged = Judge(theirs, ours, judge, model, None, "preference", "both", None, 0, TEMPLATE)
    verdicts = Judge(theirs, ours, judge, model, None, "verdict", "coin", None, 0, TEMPLATE)
    marks = JudgeScores(ours, judge, model, None, None, TEMPLATE)
    execute(plan([scored, others, judged, verdicts, marks]), bench.store, bench.notes)
    assert loaded == [bench.store.path(model)]
    (one,), (other,) = (bench.rows(stage, Rewards)[0].rewards[:1] for stage in (scored, others))
    probability = 1 / (1 + math.exp(other - one))
    assert [row.preference for row in bench.rows(judged, Judgment)] == [pytest.approx(1 + probability, abs=1e-6)] * 2
    assert bench.rows(marks, Rewards)[0].rewards[0] == pytest.approx(1 + 9 / (1 + math.exp(-one)), abs=1e-6)


def test_a_prompt_that_the_model_did_not_answer_is_judged_as_empty(bench: Bench) -> None:
    one, _ = compared(bench, "coin")
    short = given(*one.model.table[:-1])  # type: ignore[attr-defined]
    stage = Judge(one.baseline, short, JUDGE, None, one.oracle, "preference", "coin", None, 0)
    rows = bench.rows(stage, Judgment)
    assert len(rows) == 12
    assert rows[-1].preference == 1.5, "nothing against nothing is a draw"
    unknown = given(*one.model.table, samples("unknown", "x"))  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="prompt_id=unknown: the baseline has no answer"):
        bench.run(Judge(one.baseline, unknown, JUDGE, None, one.oracle, "preference", "coin", None, 0))
