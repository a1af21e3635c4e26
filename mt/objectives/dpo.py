"""Direct preference optimisation (Rafailov et al. 2023) and its conservative variant (Mitchell 2023)."""

from __future__ import annotations

from mt.choice import FlipRate, Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Dpo(PairObjective):
    """Direct preference optimisation (Eq. 2; Rafailov et al. 2023, Eq. 7)."""

    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    label_smoothing: FlipRate
    """Assumed rate of flipped labels in [0, 0.5); above 0 it is conservative DPO (Mitchell 2023)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return the mean of −log σ(±margin) under the assumed flips; log-probabilities are sums."""
        from torch.nn.functional import logsigmoid

        chosen_B, rejected_B = pairs.log_ratios()
        margin_B = self.beta * (chosen_B - rejected_B)
        epsilon = self.label_smoothing
        loss_B = -(1 - epsilon) * logsigmoid(margin_B) - epsilon * logsigmoid(-margin_B)
        return loss_B, preference_metrics(self.beta * chosen_B, self.beta * rejected_B)
