"""Sequence likelihood calibration (Zhao et al. 2023)."""

from __future__ import annotations

from typing import ClassVar

from mt.choice import NotNegative, Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Slic(PairObjective):
    """Sequence likelihood calibration, without a reference (Zhao et al. 2023)."""

    needs_reference: ClassVar[bool] = False
    margin: Positive
    """Ranking margin δ > 0 in nats (Zhao et al. 2023, §2)."""
    regularization: NotNegative
    """Weight λ ≥ 0 of the summed negative log-likelihood of the chosen response (Zhao et al. 2023, §2)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return max(0, δ − log π(y_w) + log π(y_l)) − λ log π(y_w); log-probabilities are sums.

        Zhao et al. 2023; Liu et al. 2023, Eq. 1. The chosen response serves as the target that the paper
        regularises towards.
        """
        hinge_B = (self.margin - pairs.chosen_B + pairs.rejected_B).relu()
        loss_B = hinge_B - self.regularization * pairs.chosen_B
        return loss_B, preference_metrics(pairs.chosen_B, pairs.rejected_B)
