from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mt.errors import DataError
from mt.evaluation.calibration import calibration
from mt.evaluation.diagnostics import (
    correlation,
    distinct_n,
    duplicate_rate,
    kl_from_samples,
    within_prompt_correlation,
)
from mt.evaluation.pairwise import merge_orders, win_tie_lose


def logit(p):
    return math.log(p / (1 - p))


def test_calibration_by_hand():
    # Confidence .9 twice, right once: gap .4. Confidence .6 four times, right three times: gap .15.
    margins = [logit(0.9), -logit(0.9), *[logit(0.6)] * 4]
    outcomes = [1, 1, 1, 1, 1, 0]
    result = calibration(margins, outcomes)
    assert result.expected_calibration_error == pytest.approx(2 / 6 * 0.4 + 4 / 6 * 0.15)
    assert result.brier_score == pytest.approx((0.01 + 0.81 + 3 * 0.16 + 0.36) / 6)
    assert sum(row.n for row in result.bins) == 6
    assert len([row for row in result.bins if row.n]) == 2


def test_honest_probabilities_are_calibrated_and_overconfident_ones_are_not():
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 1.5, 40_000)
    outcome = rng.uniform(size=40_000) < 1 / (1 + np.exp(-margin))
    assert calibration(margin, outcome).expected_calibration_error < 0.012
    assert calibration(3 * margin, outcome).expected_calibration_error > 0.1


@given(st.lists(st.tuples(st.floats(-8, 8), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40))
def test_calibration_does_not_depend_on_which_response_is_first(rows):
    margin, outcome = (np.array(column) for column in zip(*rows, strict=True))
    one, two = calibration(margin, outcome), calibration(-margin, 1 - outcome)
    assert one.expected_calibration_error == pytest.approx(two.expected_calibration_error)
    assert one.brier_score == pytest.approx(two.brier_score)


def test_calibration_refuses_bad_input():
    for margin, outcome in (([], []), ([1.0], [2.0]), ([math.nan], [1.0]), ([1.0], [])):
        with pytest.raises(DataError):
            calibration(margin, outcome)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
def test_correlation_is_scipys(rows):
    first, second = zip(*rows, strict=True)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert correlation(first, second) is None
    else:
        assert correlation(first, second) == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-9)


def test_centring_takes_the_prompts_out():
    lengths = [[10.0, 11, 12], [100.0, 101, 102]]
    rewards = [
        [3.0, 2, 1],
        [30.0, 29, 28],
    ]  # long answers to hard prompts, but short ones preferred within a prompt
    assert correlation(np.ravel(rewards), np.ravel(lengths)) > 0.99
    assert within_prompt_correlation(rewards, lengths) == pytest.approx(-1)
    assert within_prompt_correlation([], []) is None


def test_kl_of_known_distributions():
    rng = np.random.default_rng(0)
    policy, base = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])
    drawn = rng.choice(3, size=50_000, p=policy)
    found = kl_from_samples(np.log(policy[drawn]), np.log(base[drawn]))
    assert found == pytest.approx(float(policy @ np.log(policy / base)), abs=0.01)
    assert kl_from_samples([-1.0, math.nan, -3.0], [-2.0, -9.0, -6.0]) == (1 + 3) / 2, "a response too long is left out"
    assert kl_from_samples([], []) is None


def test_diversity_by_hand():
    assert distinct_n(["a b a b", "a b"], 2) == pytest.approx(2 / 4)
    assert distinct_n(["a"], 2) is None
    assert duplicate_rate(["a", "a", "b"]) == pytest.approx(1 / 3)
    assert duplicate_rate([]) is None


def test_win_tie_lose_by_hand():
    result = win_tie_lose([2.0, 1.9, 1.5, 1.0, None, 1.52], tie_within=0.05, rounds=20)
    assert (result.wins, result.ties, result.losses, result.missing) == (2, 2, 1, 1)
    assert result.win_rate == pytest.approx(60)
    assert result.shares == (40, 40, 20)
    with pytest.raises(DataError, match="nothing was judged"):
        win_tie_lose([None])


def test_orders_that_disagree_are_a_tie_however_sure_they_are():
    judged = [("p", 1.9), ("p", 1.3), ("q", 1.6), ("q", 1.5), ("r", 1.4), ("r", 1.2)]
    assert merge_orders(judged) == {"p": 1.5, "q": 2.0, "r": 1.0}


def test_a_half_judged_prompt_is_missing():
    judged = [("p", 2.0), ("q", 1.0), ("p", 1.0), ("q", 1.2), ("r", 2.0), ("r", None)]
    assert merge_orders(judged) == {"p": 1.5, "q": 1.0, "r": None}
