"""Intervals and paired tests that every benchmark shares; pure numbers, seeded where they are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mt.errors import DataError

Array = npt.NDArray[np.float64]
ROUNDS = 10_000
LEVEL = 0.95
_CELLS_AT_ONCE = 4_000_000  # resampled cells held in memory at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, in the unit of what it bounds."""

    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Return the interval in another unit, e.g. percent."""
        return Interval(self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class SignTest:
    """Exact two-sided sign test: how often the first is above, equal to and below the second."""

    wins: int
    ties: int
    losses: int
    p_value: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Two models on the same items: means, their difference with its bootstrap interval, and the sign test."""

    n: int
    first: float
    second: float
    difference: float
    interval: Interval
    bootstrap_p_value: float
    sign_test: SignTest


def standard_error(values_N: Sequence[float] | Array) -> float | None:
    """Return std(ddof = 1)/√N, or None for fewer than two values."""
    values = np.asarray(values_N, dtype=float)
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def percentile_interval(draws_R: Array, level: float = LEVEL) -> Interval:
    """Return the central `level` share of R draws."""
    low, high = np.percentile(draws_R, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high))


def resamples(n: int, rounds: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield blocks (rounds in the block, n) of positions drawn with replacement from n items."""
    generator = np.random.default_rng(seed)
    block = max(1, min(rounds, _CELLS_AT_ONCE // max(n, 1)))
    for start in range(0, rounds, block):
        yield generator.integers(0, n, size=(min(block, rounds - start), n))


def bootstrap_ratios(
    numerator_N: Sequence[float] | Array,
    denominator_N: Sequence[float] | Array | None = None,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Array:
    """Return R draws of Σ numerator / Σ denominator (the mean without denominators), items resampled whole."""
    top = np.asarray(numerator_N, dtype=float)
    bottom = np.ones_like(top) if denominator_N is None else np.asarray(denominator_N, dtype=float)
    _require_items(len(top))
    draws = [top[at].sum(axis=1) / bottom[at].sum(axis=1) for at in resamples(len(top), rounds, seed)]
    return np.concatenate(draws)


def bootstrap_levels(values_N: Sequence[float], rounds: int, generator: np.random.Generator) -> Array:
    """Return R bootstrap draws of the mean of values of a few levels, whose counts are drawn as a multinomial."""
    levels, counts = np.unique(np.asarray(values_N, dtype=float), return_counts=True)
    return np.asarray(
        generator.multinomial(len(values_N), counts / len(values_N), size=rounds) @ levels / len(values_N)
    )


def bootstrap_interval(
    values_N: Sequence[float] | Array, *, level: float = LEVEL, rounds: int = ROUNDS, seed: int = 0
) -> Interval:
    """Return the percentile-bootstrap interval of the mean of N values."""
    return percentile_interval(bootstrap_ratios(values_N, rounds=rounds, seed=seed), level)


def wilson_interval(wins: float, n: int, level: float = LEVEL) -> Interval:
    """Return Wilson's score interval of a share; `wins` may hold half-credit ties (Wilson 1927)."""
    _require_items(n)
    if not 0 <= wins <= n:
        raise DataError(f"wins={wins}: a share of n={n} items is needed. Allowed: 0 to n.")
    z2 = NormalDist().inv_cdf(0.5 + level / 2) ** 2
    share = wins / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def t_interval(values_N: Sequence[float] | Array, level: float = LEVEL) -> Interval | None:
    """Return Student's interval of the mean, or None for fewer than two values."""
    error = standard_error(values_N)
    if error is None:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(values_N) - 1, 0.5 + level / 2)) * error
    mean = float(np.mean(np.asarray(values_N, dtype=float)))
    return Interval(mean - half, mean + half)


def sign_test(differences_N: Sequence[float] | Array) -> SignTest:
    """Return the exact two-sided sign test of N paired differences; ties are counted and left out."""
    values = np.asarray(differences_N, dtype=float)
    wins, losses = int((values > 0).sum()), int((values < 0).sum())
    n = wins + losses
    # Splits at least as uneven, each side with p = ½: exact integers, which no n overflows.
    tail, ways = 0, 1  # n choose k, each from the one before: anew they take hours for 100,000 items
    for k in range(min(wins, losses) + 1):
        tail, ways = tail + ways, ways * (n - k) // (k + 1)
    return SignTest(wins, len(values) - n, losses, min(1.0, 2 * tail / 2**n))


def paired_difference(
    first_N: Sequence[float] | Array,
    second_N: Sequence[float] | Array,
    weight_first_N: Sequence[float] | Array | None = None,
    weight_second_N: Sequence[float] | Array | None = None,
    *,
    level: float = LEVEL,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> PairedDifference:
    """Compare two models on the same N items; both are resampled together.

    With weights, `first` and `second` are the items' sums and the weights their numbers of rows (Arena-Hard).
    """
    first, second = np.asarray(first_N, dtype=float), np.asarray(second_N, dtype=float)
    weight_1 = np.ones_like(first) if weight_first_N is None else np.asarray(weight_first_N, dtype=float)
    weight_2 = np.ones_like(second) if weight_second_N is None else np.asarray(weight_second_N, dtype=float)
    if len(first) != len(second):
        raise DataError(f"n={len(first)} and n={len(second)}: a paired test needs the same items on both sides.")
    # The same seed draws the same items for both: that is what makes the test paired.
    draws = bootstrap_ratios(first, weight_1, rounds=rounds, seed=seed)
    draws = draws - bootstrap_ratios(second, weight_2, rounds=rounds, seed=seed)
    # Two-sided: twice the smaller share of draws on one side of zero, never below 1/(R + 1).
    on_one_side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    mean_1, mean_2 = float(first.sum() / weight_1.sum()), float(second.sum() / weight_2.sum())
    return PairedDifference(
        n=len(first),
        first=mean_1,
        second=mean_2,
        difference=mean_1 - mean_2,
        interval=percentile_interval(draws, level),
        bootstrap_p_value=min(1.0, 2 * (on_one_side + 1) / (len(draws) + 1)),
        sign_test=sign_test(first / weight_1 - second / weight_2),
    )


def _require_items(n: int) -> None:
    if n < 1:
        raise DataError("n=0: there is nothing to average. At least one judged item is needed.")
