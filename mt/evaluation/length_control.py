"""AlpacaEval's length-controlled win rate: what judges would prefer if lengths were equal (Dubois et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mt.errors import DataError, describe
from mt.evaluation import l1_logistic
from mt.evaluation.alpaca_eval import Annotation, length_differences
from mt.evaluation.gamed import GamedRow, difficulties, standardised
from mt.evaluation.statistics import Array, Interval, percentile_interval, resamples, standard_error

C_GRID: tuple[float, ...] = tuple(float(C) for C in np.logspace(-4, 4, 10))
FOLDS = 5
GAMED_WEIGHT = 0.1  # 0.2 shared by the verbose and the concise baseline
LC_ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class LengthControlledWinRate:
    """The length-controlled win rate in percent, the C used (None: a model against itself), the coefficients."""

    win_rate: float
    standard_error: float | None
    interval: Interval
    C: float | None
    length_weight: float
    difficulty_weight: float
    model_weight: float
    draws_R: Array = field(default_factory=lambda: np.empty(0), compare=False, repr=False)
    """Bootstrap draws behind the interval, in percent; two models on the same N rows resample the same rows."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The regression's rows: the gamed baselines' G first, then the model's N."""

    features_RF: Array
    label_R: Array
    weight_R: Array

    def fit(self, C: float, start_F: Array | None = None) -> Array:
        used = self.weight_R > 0
        return l1_logistic.fit(self.features_RF[used], self.label_R[used], self.weight_R[used], C, start_F)


def length_controlled(
    annotations: Sequence[Annotation],
    gamed: Sequence[GamedRow],
    *,
    C: float | None = None,
    rounds: int = LC_ROUNDS,
    seed: int = 0,
) -> LengthControlledWinRate:
    """Return the length-controlled win rate 100·mean σ(w_diff·difficulty + w_0).

    η = w_len·tanh(Δ/s) + w_diff·difficulty + w_0·[not gamed], L1 penalty, no intercept; C by cross-validation
    unless given. Predictions average over all rows, judged or not. The interval resamples the model's rows at the
    chosen C.

    Raises:
        DataError: an instruction has no difficulty, or C is not above 0.
    """
    if C is not None and not (math.isfinite(C) and C > 0):
        raise DataError(describe("C", C, "cannot weigh the data against the penalty", allowed="a number above 0"))
    if annotations[0].generator_1 == annotations[0].generator_2:
        return LengthControlledWinRate(50.0, 0.0, Interval(50.0, 50.0), None, 0.0, 0.0, 0.0)
    difficulty = difficulties(annotations, gamed)
    rows = _rows(annotations, gamed, difficulty)
    C = select_C(rows.features_RF, rows.label_R, rows.weight_R) if C is None else C
    w = rows.fit(C)
    predictions = _predictions(w, difficulty)
    error = standard_error(predictions)
    draws = _bootstrap(rows, length_differences(annotations), difficulty, C, w, rounds, seed)
    return LengthControlledWinRate(
        100 * float(predictions.mean()),
        None if error is None else 100 * error,
        percentile_interval(draws).scaled(100),
        C,
        float(w[0]),
        float(w[1]),
        float(w[2]),
        100 * draws,
    )


def select_C(features_RF: Array, label_R: Array, weight_R: Array) -> float:
    """Return the C of the grid with the least weighted log-loss over 5 folds; the smallest among equals.

    Rows of weight 0 (missing judgments) are left out before the folds are dealt.
    """
    used = weight_R > 0
    x, y, weight = features_RF[used], label_R[used], weight_R[used]
    fold = folds(len(y))
    losses = [np.mean([_held_out_loss(x, y, weight, C, fold == held_out) for held_out in range(FOLDS)]) for C in C_GRID]
    return C_GRID[int(np.argmin(losses))]


def folds(n: int) -> npt.NDArray[np.int64]:
    """Return each row's fold: rows are dealt out in turn, from the last to the first.

    The original deals rows in the order of an unstable sort of equal keys; this is what a stable sort gives.
    """
    return np.arange(n)[::-1] % FOLDS


def _held_out_loss(x: Array, y: Array, weight: Array, C: float, held_out: npt.NDArray[np.bool_]) -> float:
    """Weighted log-loss on the held-out rows, divided by their number as the original does."""
    if not held_out.any():
        return 0.0
    train = ~held_out
    w = l1_logistic.fit(x[train], y[train], weight[train], C)
    p = np.clip(l1_logistic.sigmoid(x[held_out] @ w), 1e-15, 1 - 1e-15)
    log_loss = y[held_out] * np.log(p) + (1 - y[held_out]) * np.log(1 - p)
    return -float(np.mean(weight[held_out] * log_loss))


def _rows(annotations: Sequence[Annotation], gamed: Sequence[GamedRow], difficulty_N: Array) -> _Rows:
    """Lay out the regression; a missing judgment keeps its row, with weight 0."""
    delta = standardised(length_differences(annotations))
    ours = np.column_stack([np.tanh(delta), difficulty_N, np.ones_like(delta)])
    theirs = np.array([[math.tanh(row.std_delta_len), row.instruction_difficulty, 0.0] for row in gamed])
    preferences = [row.preference for row in gamed]
    preferences += [None if row.preference is None else row.preference - 1 for row in annotations]
    judged = np.array([value is not None for value in preferences])
    full_weight = np.repeat([GAMED_WEIGHT, 1.0], [len(gamed), len(annotations)])
    return _Rows(
        features_RF=np.concatenate([theirs, ours]),
        label_R=np.array([0.5 if value is None else value for value in preferences]),
        weight_R=full_weight * judged,
    )


def _predictions(w_F: Array, difficulty_N: Array) -> Array:
    """Win probabilities with the length term set to 0."""
    return l1_logistic.sigmoid(w_F[1] * difficulty_N + w_F[2])


def _bootstrap(rows: _Rows, delta_N: Array, difficulty_N: Array, C: float, w_F: Array, rounds: int, seed: int) -> Array:
    """Return R draws of the mean prediction, the model's rows resampled and s computed anew."""
    n = len(delta_N)
    draws = []
    for block in resamples(n, rounds, seed):
        for positions in block:
            count = np.bincount(positions, minlength=n).astype(float)
            features, weight = rows.features_RF.copy(), rows.weight_R.copy()
            features[-n:, 0] = np.tanh(standardised(delta_N, count))
            weight[-n:] *= count
            w = _Rows(features, rows.label_R, weight).fit(C, w_F)
            draws.append(float(count @ _predictions(w, difficulty_N)) / n)
    return np.array(draws)
