"""Exact L1-penalised logistic regression with fractional labels, for a handful of features."""

from __future__ import annotations

import numpy as np

from mt.errors import DataError
from mt.evaluation.statistics import Array

_MAX_STEPS = 100
_MAX_SWEEPS = 10_000
_MAX_HALVINGS = 50
_TIGHT, _ENOUGH = 1e-13, 1e-9  # of the largest gradient that the rows could exert
_ROUNDING = 1e-15


def fit(features_NF: Array, label_N: Array, weight_N: Array, C: float, start_F: Array | None = None) -> Array:
    """Return the F coefficients that minimise ‖w‖₁ + C·Σ weight·[softplus(η) − label·η], η = features·w.

    Labels lie in [0, 1]: a fractional label equals two rows, label 1 with weight y and label 0 with weight 1 − y.
    Solved by proximal Newton steps until the subgradient is at rounding level, so that the result depends neither
    on a solver's tolerance nor on the order of rows (Yuan, Ho & Lin 2012). No intercept.

    Raises:
        DataError: a feature is not finite, or the minimum was not reached.
    """
    if not np.isfinite(features_NF).all():
        raise DataError("features=nan: the regression needs finite lengths and difficulties.")
    w = np.zeros(features_NF.shape[1]) if start_F is None else start_F.astype(float)
    scale = 1 + C * float(weight_N.sum())
    violation = np.inf
    for _ in range(_MAX_STEPS):
        p_N = sigmoid(features_NF @ w)
        gradient = C * (features_NF.T @ (weight_N * (p_N - label_N)))
        hessian = C * ((features_NF * (weight_N * p_N * (1 - p_N))[:, None]).T @ features_NF)
        # The largest entry of the smallest subgradient is 0 at the minimum. At w = 0 that of |w| is all of [−1, 1].
        at_zero = np.maximum(np.abs(gradient) - 1, 0)
        violation = float(np.where(w == 0, at_zero, np.abs(gradient + np.sign(w))).max())
        if violation <= _TIGHT * scale:
            return w
        target = _newton_target(w, gradient, hessian)
        moved = _line_search(features_NF, label_N, weight_N, C, w, gradient, target)
        if np.array_equal(moved, w):  # no further decrease can be represented
            break
        w = moved
    if violation > _ENOUGH * scale:
        raise DataError(f"C={C}: the L1 regression did not reach its minimum (subgradient {violation:.1e}).")
    return w


def objective(features_NF: Array, label_N: Array, weight_N: Array, C: float, w_F: Array) -> float:
    """Return ‖w‖₁ + C·Σ weight·[softplus(η) − label·η]."""
    eta = features_NF @ w_F
    return float(np.abs(w_F).sum() + C * (weight_N @ (np.logaddexp(0, eta) - label_N * eta)))


def sigmoid(eta_N: Array) -> Array:
    """Return 1/(1 + e^−η) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -eta_N)))


def _newton_target(w: Array, gradient: Array, hessian: Array) -> Array:
    """Return the t that minimises g·(t − w) + ½(t − w)·H·(t − w) + ‖t‖₁, by coordinate descent."""
    axes = range(len(w))
    g, start, t = gradient.tolist(), w.tolist(), w.tolist()
    # The damping keeps a feature without any variation (all lengths equal) at rest.
    h = (hessian + np.eye(len(w)) * (1e-12 + 1e-14 * np.trace(hessian))).tolist()
    for _ in range(_MAX_SWEEPS):
        largest = 0.0
        for j in axes:
            slope = g[j] + sum(h[j][k] * (t[k] - start[k]) for k in axes)
            new = _soft_threshold(h[j][j] * t[j] - slope) / h[j][j]
            largest = max(largest, abs(new - t[j]) / (1 + abs(new)))
            t[j] = new
        if largest < _ROUNDING:
            break
    return np.array(t)


def _soft_threshold(value: float) -> float:
    return value - 1 if value > 1 else value + 1 if value < -1 else 0.0


def _line_search(x: Array, y: Array, weight: Array, C: float, w: Array, gradient: Array, target: Array) -> Array:
    """Return the first of the target, half way to it, a quarter … that lowers the objective enough."""
    before = objective(x, y, weight, C, w)
    promised = float(gradient @ (target - w) + np.abs(target).sum() - np.abs(w).sum())
    share = 1.0
    for _ in range(_MAX_HALVINGS):
        candidate = target if share == 1 else w + share * (target - w)
        limit = before + 1e-4 * share * promised + 4 * _ROUNDING * abs(before)
        if objective(x, y, weight, C, candidate) <= limit:
            return candidate
        share /= 2
    return w
