"""An objective of one's own: its settings, its source and its loss are one class."""

from __future__ import annotations

from mt.choice import Positive
from mt.objectives import Losses, PairLogps, PairObjective, preference_metrics


class Exponential(PairObjective):
    """The exponential loss of generalized preference optimisation (Tang et al. 2024, Table 1)."""

    beta: Positive
    """β > 0, from log-ratios to rewards."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return exp(−βΔ) per pair, Δ the difference of the log-ratios; log-probabilities are sums over tokens."""
        chosen_B, rejected_B = (self.beta * ratio_B for ratio_B in pairs.log_ratios())
        return (rejected_B - chosen_B).exp(), preference_metrics(chosen_B, rejected_B)
