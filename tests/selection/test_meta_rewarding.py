import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.selection import Verdict, average_scores, battles, elo, judge_pairs, most_varied, position_weights
from mt.types import Rewards
from tests.selection.example import row, texts

JUDGMENTS = row([("j0", 5), ("j1", 6), ("j2", 7)])


def verdicts(*winners: int | None, prompt_id: str = "p0") -> list[Verdict]:
    """All pairs of three judgments in both orders, with these winners."""
    shown = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    return [Verdict(prompt_id, *pair, winner) for pair, winner in zip(shown, winners, strict=True)]


RANKED = verdicts(1, 2, 1, 2, 1, 2)  # j0 beats j1 beats j2, in both orders


def test_scores_are_averaged_over_parsable_judgments() -> None:
    samples, rewards = average_scores(row([("a", 1), ("b", 1), ("c", 1)]), [[5, None, 2], [None, None], [3]])
    assert [response.text for response in samples.responses] == ["a", "c"]
    assert rewards == Rewards("p0", [3.5, 3])


def test_the_response_that_the_judge_doubts_most() -> None:
    assert most_varied([[3, 3, 3], [1, None, 5], [2, 4, 4], [5]]) == 1
    assert most_varied([[3, 3], [4, 4]]) == 0
    assert most_varied([[3], [None, 4], []]) is None


def test_wins_in_the_position_that_rarely_wins_weigh_more() -> None:
    assert position_weights(verdicts(1, 1, 1, 2, None, None)) == (0.25, 0.75)
    assert position_weights(verdicts(*[None] * 6)) == (0.5, 0.5)


def test_battles_by_hand() -> None:
    # shown (0,1) → 0 wins first; (1,0) → 0 wins second; (2,0) → 2 wins first
    wins_NN = battles(verdicts(1, 2, None, 1, None, None), 3, (0.2, 0.8))
    assert wins_NN.tolist() == [[0, 1.0, 0], [0, 0, 0], [0.2, 0, 0]]


def test_elo_of_two_is_the_log_odds_of_their_wins() -> None:
    score_N = elo(np.array([[0.0, 3.0], [1.0, 0.0]]), prior=1e-9)
    assert score_N[0] - score_N[1] == pytest.approx(math.log(3), abs=1e-6)
    assert score_N.sum() == pytest.approx(0)


def test_a_circle_of_wins_is_a_tie() -> None:
    circle = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert elo(circle) == pytest.approx(np.zeros(3), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_contestant_that_always_wins_stays_finite(scale: float) -> None:
    score_N = elo(scale * np.triu(np.ones((11, 11)), 1))
    assert np.isfinite(score_N).all() and (np.diff(score_N) < 0).all()


@given(st.integers(2, 11), st.integers(0, 10_000))
def test_elo_is_the_maximum(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wins_NN = rng.exponential(size=(size, size)) * (rng.random((size, size)) < 0.5)
    np.fill_diagonal(wins_NN, 0)
    score_N = elo(wins_NN, prior=0.01)
    chance_NN = 1 / (1 + np.exp(score_N[None, :] - score_N[:, None]))
    slope_N = (wins_NN * (1 - chance_NN)).sum(1) - (wins_NN.T * chance_NN).sum(1) - 0.01 * score_N
    assert slope_N == pytest.approx(np.zeros(size), abs=1e-6)
    order = rng.permutation(size)
    assert elo(wins_NN[np.ix_(order, order)]) == pytest.approx(score_N[order], abs=1e-6)


def test_the_best_judgment_is_paired_with_the_worst() -> None:
    selection = judge_pairs([JUDGMENTS], RANKED, max_tokens=9)
    assert texts(selection) == [("j0", "j2")]
    (pair,) = selection.rows
    assert pair.source == "judge" and pair.chosen_reward is not None and pair.rejected_reward is not None
    assert pair.chosen_reward > pair.rejected_reward


def test_judgments_that_give_no_pair_are_counted() -> None:
    rows = [
        JUDGMENTS,
        replace(JUDGMENTS, prompt_id="circle"),
        replace(JUDGMENTS, prompt_id="silent"),
        row([("same", 1), ("j1", 2), ("same", 1)], "same"),
        row([], "empty"),
    ]
    seen = [
        *RANKED,
        *verdicts(1, 2, 2, 1, 1, 2, prompt_id="circle"),
        *(replace(verdict, prompt_id="same") for verdict in RANKED),
    ]
    selection = judge_pairs(rows, seen, max_tokens=4)
    assert not selection.rows
    assert selection.counts == {
        "prompts": 5,
        "kept": 0,
        "dropped_undecided": 3,
        "dropped_identical": 1,
        "dropped_too_long": 1,
    }
