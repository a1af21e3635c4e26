"""Sequence likelihood calibration (Zhao et al. 2023) and the hinge on log-ratios that RSO makes of it."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def slic(pairs: PairLogps, *, margin: float, regularization: float) -> Losses:
    """Return SLiC-HF's loss per pair; log-probabilities are sums, and there is no reference.

    max(0, δ − log π(y_w) + log π(y_l)) − λ log π(y_w) (Zhao et al. 2023; Liu et al. 2023, Eq. 1) with `margin`
    δ > 0 and `regularization` λ ≥ 0; the chosen response serves as the target that the paper regularises towards.
    """
    hinge_B = (margin - pairs.chosen_B + pairs.rejected_B).relu()
    return hinge_B - regularization * pairs.chosen_B, preference_metrics(pairs.chosen_B, pairs.rejected_B)


def hinge(pairs: PairLogps, *, beta: float) -> Losses:
    """Return the hinge loss max(0, 1 − βΔ) on log-ratios; log-probabilities are sums.

    "hinge-norm" of RSO (Liu et al. 2023, Eq. 10), where `beta` is called γ: the support-vector twin of DPO.
    """
    chosen_B, rejected_B = pairs.log_ratios()
    loss_B = (1 - beta * (chosen_B - rejected_B)).relu()
    return loss_B, preference_metrics(beta * chosen_B, beta * rejected_B)
