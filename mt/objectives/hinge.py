"""The hinge on log-ratios that statistical rejection sampling optimisation makes of SLiC (Liu et al. 2023)."""

from __future__ import annotations

from mt.choice import Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Hinge(PairObjective):
    """The hinge loss on log-ratios of statistical rejection sampling optimisation (Liu et al. 2023)."""

    beta: Positive
    """Slope γ > 0 of the log-ratios (Liu et al. 2023, Eq. 10)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return max(0, 1 − βΔ), the support-vector twin of DPO ("hinge-norm", Eq. 10); log-probabilities are sums."""
        chosen_B, rejected_B = pairs.log_ratios()
        loss_B = (1 - self.beta * (chosen_B - rejected_B)).relu()
        return loss_B, preference_metrics(self.beta * chosen_B, self.beta * rejected_B)
