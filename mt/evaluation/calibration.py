"""Is a reward model's confidence deserved: reliability of its win probabilities against a judge's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mt.errors import DataError
from mt.evaluation.l1_logistic import sigmoid
from mt.evaluation.statistics import Array

BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs whose confidence lies in [low, high): their number, mean confidence and share that was right."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected calibration error Σ n_bin/n·|accuracy − confidence|, Brier score, and the bins."""

    n: int
    expected_calibration_error: float
    brier_score: float
    bins: list[ReliabilityBin]


def calibration(margin_B: Sequence[float] | Array, outcome_B: Sequence[float] | Array, bins: int = BINS) -> Calibration:
    """Compare σ(margin) with outcomes in [0, 1]: margin = r(y_1) − r(y_2), outcome = 1 where y_1 is really better.

    Each pair is turned so that the reward model's favourite comes first, hence confidences lie in [½, 1] and the
    result does not depend on which response was called the first. Bins are of equal width.
    """
    margin, outcome = np.asarray(margin_B, dtype=float), np.asarray(outcome_B, dtype=float)
    if not len(margin) or len(margin) != len(outcome):
        raise DataError(f"outcome: {len(outcome)} values for {len(margin)} margins. One for each pair is needed.")
    if not np.isfinite(margin).all() or not ((outcome >= 0) & (outcome <= 1)).all():
        raise DataError("margin, outcome: finite margins and outcomes in [0, 1] are needed.")
    confidence = sigmoid(np.abs(margin))
    # A margin of 0 favours neither side: it is right half of the time by construction.
    right = np.where(margin > 0, outcome, np.where(margin < 0, 1 - outcome, 0.5))
    at = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    table, error = list[ReliabilityBin](), 0.0
    for number in range(bins):
        low, high, inside = 0.5 + number / (2 * bins), 0.5 + (number + 1) / (2 * bins), at == number
        if not inside.any():
            table.append(ReliabilityBin(low, high, 0, None, None))
            continue
        n, mean, accuracy = int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean())
        table.append(ReliabilityBin(low, high, n, mean, accuracy))
        error += abs(accuracy - mean) * n
    return Calibration(len(margin), error / len(margin), float(np.mean((confidence - right) ** 2)), table)
