"""Differences with intervals, by hand and against scipy."""

from __future__ import annotations

import pytest
from scipy import stats

from mt.evaluation.pairing import over_seeds, paired, resampled, unpaired
from mt.types import Metric


def test_a_paired_difference_is_that_of_scipys_paired_test() -> None:
    first, second = {"a": 1.0, "b": 2.0, "c": 4.0, "alone": 9.0}, {"c": 1.0, "b": 1.5, "a": 1.0}
    found = paired(first, second)
    low, high = stats.ttest_rel([1.0, 2.0, 4.0], [1.0, 1.5, 1.0]).confidence_interval()
    assert found is not None and (found.value, found.n, found.over) == (pytest.approx(3.5 / 3), 3, "items")
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.sign == 0, "the interval reaches over zero"


def test_the_sign_is_the_intervals() -> None:
    better, worse = over_seeds([1.0, 1.1, 0.9]), over_seeds([-1.0, -1.1, -0.9])
    assert better is not None and worse is not None and (better.sign, worse.sign) == (1, -1)
    alone = over_seeds([1.0])
    assert alone is not None and (alone.low, alone.sign, alone.over) == (None, 0, "seeds")
    assert over_seeds([]) is None and paired({"a": 1.0}, {"b": 1.0}) is None


def test_unknown_items_leave_the_two_intervals() -> None:
    found = unpaired(Metric("b", "m", 5.0, 2.0, 8.0), Metric("b", "m", 1.0, -3.0, 5.0))
    assert (found.value, found.low, found.high) == (4.0, -1.0, 9.0), "half-widths 3 and 4 add to 5"
    bare = unpaired(Metric("b", "m", 5.0), Metric("b", "m", 1.0, 0.0, 2.0))
    assert (bare.value, bare.low, bare.sign) == (4.0, None, 0)


def test_draws_of_the_same_resamples_pair() -> None:
    first, second = Metric("b", "m", 6.0, n=3), Metric("b", "m", 4.0, n=3)
    found = resampled(first, second, [7.0, 6.0, 5.0], [5.0, 4.0, 3.0])
    assert found is not None and (found.value, found.low, found.high) == (2.0, 2.0, 2.0), "they vary together"
    assert resampled(first, Metric("b", "m", 4.0, n=4), [7.0], [5.0]) is None, "other items"
    assert resampled(first, second, [], []) is None
