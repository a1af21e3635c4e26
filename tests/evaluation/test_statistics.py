from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mt.errors import DataError
from mt.evaluation.statistics import (
    bootstrap_interval,
    bootstrap_ratios,
    paired_difference,
    sign_test,
    standard_error,
    t_interval,
    wilson_interval,
)

VALUES = st.lists(st.floats(-10, 10), min_size=2, max_size=30)


@given(st.integers(0, 40), st.integers(0, 40))
def test_sign_test_is_the_exact_binomial_test(wins, losses):
    test = sign_test([1.0] * wins + [-1.0] * losses + [0.0] * 3)
    assert (test.wins, test.ties, test.losses) == (wins, 3, losses)
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert test.p_value == pytest.approx(expected, rel=1e-10)


def test_sign_test_of_many_prompts_takes_no_time():
    """A reward model is judged on its 20,000 training prompts (Figure 3), for which each binomial anew took 97 s."""
    began = time.perf_counter()
    assert sign_test([1.0] * 9_900 + [-1.0] * 10_100).p_value == pytest.approx(stats.binomtest(9900, 20000).pvalue)
    assert time.perf_counter() - began < 20


def test_sign_test_by_hand():
    assert sign_test([1, 1, 1, 1, 1]).p_value == pytest.approx(2 / 32)


@given(st.integers(1, 200), st.data())
def test_wilson_is_scipys(n, data):
    wins = data.draw(st.integers(0, n))
    expected = stats.binomtest(wins, n).proportion_ci(method="wilson")
    ours = wilson_interval(wins, n)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(VALUES)
def test_t_interval_is_scipys(values):
    interval = t_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), standard_error(values) or 1e-300)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-7)


def test_one_value_has_no_spread():
    assert standard_error([1.0]) is None
    assert t_interval([1.0]) is None


def test_the_bootstrap_has_the_spread_of_the_mean():
    values = np.random.default_rng(0).normal(size=400)
    draws = bootstrap_ratios(values, rounds=20_000, seed=1)
    assert draws.std() == pytest.approx(standard_error(values), rel=0.03)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.003)
    interval = bootstrap_interval(values, level=0.9, rounds=20_000)
    assert interval.high - interval.low == pytest.approx(2 * 1.645 * standard_error(values), rel=0.04)


def test_draws_do_not_depend_on_the_block_size(monkeypatch):
    values = np.arange(50.0)
    whole = bootstrap_ratios(values, rounds=100, seed=5)
    monkeypatch.setattr("mt.evaluation.statistics._CELLS_AT_ONCE", 50 * 7)
    assert np.array_equal(bootstrap_ratios(values, rounds=100, seed=5), whole)


def test_pairing_removes_what_items_have_in_common():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 5, 300)
    first, second = shared + 0.5 + rng.normal(0, 0.1, 300), shared + rng.normal(0, 0.1, 300)
    test = paired_difference(first, second)
    assert test.difference == pytest.approx(np.mean(first - second))
    expected = standard_error(first - second)
    assert test.interval.high - test.interval.low == pytest.approx(2 * 1.96 * expected, rel=0.05)
    assert test.bootstrap_p_value < 0.001
    assert test.sign_test.p_value < 1e-20


@given(VALUES)
def test_a_model_against_itself_differs_by_nothing(values):
    test = paired_difference(values, values, rounds=50)
    assert (test.difference, test.interval.low, test.interval.high) == (0, 0, 0)
    assert (test.bootstrap_p_value, test.sign_test.p_value) == (1, 1)


@given(VALUES, st.integers(0, 10))
def test_swapping_the_models_mirrors_the_difference(values, seed):
    other = list(reversed(values))
    one, two = (paired_difference(a, b, rounds=50, seed=seed) for a, b in ((values, other), (other, values)))
    assert one.difference == pytest.approx(-two.difference)
    assert (one.interval.low, one.interval.high) == pytest.approx((-two.interval.high, -two.interval.low), abs=1e-9)
    assert one.sign_test.p_value == two.sign_test.p_value


def test_weights_count_rows():
    test = paired_difference([3.0, 0.0], [1.0, 1.0], [3, 1], [2, 2], rounds=10)
    assert (test.first, test.second) == (0.75, 0.5)


@pytest.mark.parametrize("call", [lambda: bootstrap_interval([]), lambda: paired_difference([], [])])
def test_nothing_to_average(call):
    with pytest.raises(DataError, match="n=0"):
        call()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="same items"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(DataError, match="wins=3"):
        wilson_interval(3, 2)
