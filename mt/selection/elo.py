"""Elo scores of a few contestants by maximum likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def elo(wins_NN: Array, *, prior: float = 0.01) -> Array:
    """Return scores ε of N contestants with mean 0 that maximise Σ B_mn log σ(ε_m − ε_n) − prior/2·Σ ε².

    `wins_NN[m, n]` ≥ 0 is the weight of m's wins over n. The small Gaussian `prior` keeps a contestant that won
    or lost all its battles finite and makes the maximum unique (our choice: Wu et al. 2024a, §2.2, have none).
    Scores are in nats; times 400/ln 10 they are on the chess scale. The objective is concave: Newton's method with
    halved steps finds its maximum.
    """
    import numpy as np

    score_N = np.zeros(len(wins_NN))
    for _ in range(100):
        gap_NN = score_N[:, None] - score_N[None, :]
        lose_NN = np.exp(-np.logaddexp(0, gap_NN))
        push_NN = wins_NN * lose_NN
        gradient_N = push_NN.sum(1) - push_NN.sum(0) - prior * score_N
        weight_NN = (wins_NN + wins_NN.T) * lose_NN * (1 - lose_NN)
        curvature_NN = np.diag(weight_NN.sum(1) + prior) - weight_NN  # the negative Hessian
        step_N = np.linalg.solve(curvature_NN, gradient_N)
        size = 1.0
        while _fit(wins_NN, score_N + size * step_N, prior) < _fit(wins_NN, score_N, prior) and size > 1e-6:
            size /= 2
        score_N = score_N + size * step_N
        if np.abs(step_N).max(initial=0.0) < 1e-10:
            break
    return score_N


def _fit(wins_NN: Array, score_N: Array, prior: float) -> float:
    import numpy as np

    gap_NN = score_N[:, None] - score_N[None, :]
    return float(-(wins_NN * np.logaddexp(0, -gap_NN)).sum() - prior / 2 * (score_N**2).sum())
