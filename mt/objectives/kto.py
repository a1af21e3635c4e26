"""Kahneman-Tversky optimisation on the two halves of a pair, each judged by itself (Ethayarajh et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mt.choice import Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics

if TYPE_CHECKING:
    from torch import Tensor


class Kto(PairObjective):
    """Kahneman-Tversky optimisation of both halves of a pair by themselves (Ethayarajh et al. 2024)."""

    beta: Positive
    """β > 0, from log-ratios to rewards (Ethayarajh et al. 2024, §4.1)."""
    desirable_weight: Positive
    """λ_D > 0, the weight of chosen responses (Ethayarajh et al. 2024, §4.1)."""
    undesirable_weight: Positive
    """λ_U > 0, the weight of rejected responses (Ethayarajh et al. 2024, §4.1)."""
    reference_point: Literal["batch", "zero"]
    """z_0: the batch's mean log-ratio clamped at 0, or 0, which makes pairs independent of each other."""

    @property
    def couples_pairs(self) -> bool:
        """The reference point is a mean over the batch."""
        return self.reference_point == "batch"

    def loss(self, pairs: PairLogps) -> Losses:
        """Return the mean over the pair of λ_D(1 − σ(β(Δ_w − z_0))) and λ_U(1 − σ(β(z_0 − Δ_l))) (§4.1).

        Log-probabilities are sums; the mean over pairs is the paper's mean over examples.
        """
        chosen_B, rejected_B = pairs.log_ratios()
        z_0 = self.whole_batch(pairs) if pairs.whole_batch is None else pairs.whole_batch.detach()
        desirable_B = self.desirable_weight * (1 - (self.beta * (chosen_B - z_0)).sigmoid())
        undesirable_B = self.undesirable_weight * (1 - (self.beta * (z_0 - rejected_B)).sigmoid())
        return (desirable_B + undesirable_B) / 2, preference_metrics(self.beta * chosen_B, self.beta * rejected_B)

    def whole_batch(self, pairs: PairLogps) -> Tensor:
        """Return z_0, the reference point in nats, a scalar without gradient.

        The paper estimates KL(π_θ‖π_ref) by the mean log-ratio of mismatched prompts and responses of the batch,
        clamped at 0 (§4.1). "batch" is what any trainer has: the mean log-ratio of all responses of the batch,
        clamped at 0. It is biased (the responses were drawn from the reference, where the expected log-ratio is
        −KL(π_ref‖π_θ) ≤ 0, and then picked by reward). "zero" drops the term.
        """
        chosen_B, rejected_B = pairs.log_ratios()
        if self.reference_point == "zero":
            return chosen_B.new_zeros(())
        return ((chosen_B + rejected_B) / 2).detach().mean().clamp(min=0)
