"""Meta-rewarding's own selections (Wu et al. 2024a): averaged self-judgments, and pairs of judgments."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mt.selection.base import Selected, counted
from mt.selection.elo import elo
from mt.types import Pair, Rewards, Samples

if TYPE_CHECKING:
    from mt.selection.elo import Array

JudgmentScores = Sequence[Sequence[float | None]]
"""Scores of K responses by N judgments each, shape (K, N); None where a judgment could not be parsed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meta-judge's choice between two judgments of one response, in the order in which it was shown them."""

    prompt_id: str
    first: int
    """Index of the judgment shown first."""
    second: int
    """Index of the judgment shown second."""
    winner: int | None
    """1 for the first, 2 for the second, None for a tie or an answer that could not be parsed."""


def average_scores(samples: Samples, scores_KN: JudgmentScores) -> tuple[Samples, Rewards]:
    """Return the responses with at least one parsable judgment, and the mean of their parsed scores (§2.1)."""
    parsed = [[score for score in scores_N if score is not None] for scores_N in scores_KN]
    kept = [(response, scores) for response, scores in zip(samples.responses, parsed, strict=True) if scores]
    rewards = [statistics.fmean(scores) for _, scores in kept]
    return replace(samples, responses=[response for response, _ in kept]), Rewards(samples.prompt_id, rewards)


def most_varied(scores_KN: JudgmentScores) -> int | None:
    """Return the response whose parsed scores vary most, the first of equals; None if none has two (§2.2)."""
    parsed = [[score for score in scores_N if score is not None] for scores_N in scores_KN]
    variance_K = [statistics.pvariance(scores) if len(scores) > 1 else -1.0 for scores in parsed]
    highest = max(variance_K, default=-1.0)
    return None if highest < 0 else variance_K.index(highest)


def position_weights(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """Return (ω_1, ω_2), the weights of a win in first and in second position (§2.2).

    ω_1 is the share of all wins that were won in second position, and the reverse: rare wins count more.
    """
    wins = Counter(verdict.winner for verdict in verdicts)
    total = wins[1] + wins[2]
    return (wins[2] / total, wins[1] / total) if total else (0.5, 0.5)


def battles(verdicts: Sequence[Verdict], n_judgments: int, weights: tuple[float, float]) -> Array:
    """Return B_NN: B[m, n] sums ω_1 for wins of m over n in first position and ω_2 for those in second (§2.2)."""
    import numpy as np

    wins_NN = np.zeros((n_judgments, n_judgments))
    for verdict in verdicts:
        if verdict.winner == 1:
            wins_NN[verdict.first, verdict.second] += weights[0]
        elif verdict.winner == 2:
            wins_NN[verdict.second, verdict.first] += weights[1]
    return wins_NN


def judge_pairs(judgments: Sequence[Samples], verdicts: Sequence[Verdict], *, max_tokens: int) -> Selected[Pair]:
    """Pair the judgment with the highest Elo score with that of the lowest, one pair a judged response (§2.2).

    `judgments` holds the judge's prompt and its N judgments, and `verdicts` names them by prompt and index.
    Judgments with one score give no pair, nor do identical ones, nor a winner longer than `max_tokens`: the
    meta-judge likes length.
    """
    weights, by_prompt = position_weights(verdicts), dict[str, list[Verdict]]()
    for verdict in verdicts:
        by_prompt.setdefault(verdict.prompt_id, []).append(verdict)
    pairs, dropped = list[Pair](), Counter[str]()
    for row in judgments:
        score_N = elo(battles(by_prompt.get(row.prompt_id, []), len(row.responses), weights))
        best, worst = (int(score_N.argmax()), int(score_N.argmin())) if len(score_N) else (0, 0)
        if best == worst or score_N[best] - score_N[worst] < 1e-6:
            dropped["undecided"] += 1
        elif row.responses[best].text == row.responses[worst].text:
            dropped["identical"] += 1
        elif row.responses[best].n_tokens > max_tokens:
            dropped["too_long"] += 1
        else:
            chosen, rejected = row.responses[best], row.responses[worst]
            scores = float(score_N[best]), float(score_N[worst])
            pairs.append(Pair(row.prompt_id, row.messages, row.section, chosen, rejected, *scores, source="judge"))
    return Selected(pairs, counted(len(judgments), len(pairs), dropped, ("undecided", "identical", "too_long")))
