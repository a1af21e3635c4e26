"""Anchored preference optimisation, the variant that raises chosen responses (D'Oosterlinck et al. 2024)."""

from __future__ import annotations

from mt.choice import Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class ApoZero(PairObjective):
    """APO-zero: the chosen response above the reference, the rejected one below it (D'Oosterlinck et al. 2024)."""

    beta: Positive
    """β > 0, from log-ratios to rewards (D'Oosterlinck et al. 2024, Eq. 4)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return 1 − σ(βΔ_w) + σ(βΔ_l), Δ the log-ratio; log-probabilities are sums."""
        chosen_B, rejected_B = (self.beta * ratio_B for ratio_B in pairs.log_ratios())
        return 1 - chosen_B.sigmoid() + rejected_B.sigmoid(), preference_metrics(chosen_B, rejected_B)
