"""Provably robust DPO (Chowdhury, Kini and Natarajan 2024)."""

from __future__ import annotations

from mt.choice import FlipRate, Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Robust(PairObjective):
    """Provably robust DPO (Chowdhury et al. 2024)."""

    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    flip_rate: FlipRate
    """Rate of flipped labels in [0, 0.5) that the loss corrects for (Chowdhury et al. 2024, §3)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return the loss whose expectation under flipped labels is DPO's on clean ones; log-probabilities are sums.

        −[(1−ε) log σ(βΔ) − ε log σ(−βΔ)] / (1−2ε) (Chowdhury et al. 2024, §3). Unlike conservative DPO it is
        unbiased, and so it is unbounded below for pairs that the policy ranks as labelled.
        """
        from torch.nn.functional import logsigmoid

        chosen_B, rejected_B = pairs.log_ratios()
        margin_B, epsilon = self.beta * (chosen_B - rejected_B), self.flip_rate
        loss_B = -((1 - epsilon) * logsigmoid(margin_B) - epsilon * logsigmoid(-margin_B)) / (1 - 2 * epsilon)
        return loss_B, preference_metrics(self.beta * chosen_B, self.beta * rejected_B)
