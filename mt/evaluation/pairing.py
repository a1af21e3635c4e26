"""Differences between two measurements of one metric, with 95% intervals: paired by item where the items are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mt.types import Metric


@dataclass(frozen=True, slots=True)
class Difference:
    """One value minus another; `n` counts what it was repeated over (items, resamples or seeds)."""

    value: float
    low: float | None
    high: float | None
    n: int | None
    over: Literal["items", "resamples", "seeds", "unpaired"]

    @property
    def sign(self) -> int:
        """Return 1 or -1 where the interval lies on one side of zero, else 0."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def paired(first: Mapping[str, float], second: Mapping[str, float]) -> Difference | None:
    """Return mean(first − second) over the items that both have, with Student's interval; None without common items."""
    return _mean([first[item] - second[item] for item in first if item in second], "items")


def resampled(first: Metric, second: Metric, first_R: Sequence[float], second_R: Sequence[float]) -> Difference | None:
    """Return first − second with the percentile interval of R bootstrap draws that resampled the same items.

    None where the draws, or the numbers of items behind them, are not the same in number.
    """
    import numpy as np

    from mt.evaluation.statistics import percentile_interval

    if not first_R or len(first_R) != len(second_R) or first.n != second.n:
        return None
    interval = percentile_interval(np.asarray(first_R) - np.asarray(second_R))
    return Difference(first.value - second.value, interval.low, interval.high, len(first_R), "resamples")


def over_seeds(differences: Sequence[float]) -> Difference | None:
    """Return the mean of one difference per seed, with Student's interval over seeds."""
    return _mean(differences, "seeds")


def unpaired(first: Metric, second: Metric) -> Difference:
    """Return first − second of two metrics whose items are unknown: their intervals are taken as independent.

    The two half-widths add as squares, which is too wide where the items are the same.
    """
    halves = [
        (metric.high - metric.low) / 2
        for metric in (first, second)
        if metric.low is not None and metric.high is not None
    ]
    value = first.value - second.value
    if len(halves) < 2:
        return Difference(value, None, None, None, "unpaired")
    half = math.hypot(*halves)
    return Difference(value, value - half, value + half, None, "unpaired")


def _mean(values: Sequence[float], over: Literal["items", "seeds"]) -> Difference | None:
    from mt.evaluation.statistics import t_interval

    if not values:
        return None
    interval = t_interval(values)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Difference(sum(values) / len(values), low, high, len(values), over)
