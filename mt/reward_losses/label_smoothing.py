"""Bradley-Terry under a known rate of wrong labels (Mitchell 2023, for a reward model)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.choice import FlipRate
from mt.reward_losses.base import RewardLoss

if TYPE_CHECKING:
    from torch import Tensor


class LabelSmoothing(RewardLoss):
    """The mean Bradley-Terry loss where a share of the labels is flipped."""

    flip_rate: FlipRate
    """Assumed rate ε of flipped labels, in [0, 0.5)."""

    def loss(self, chosen_reward_B: Tensor, rejected_reward_B: Tensor, margin_B: Tensor | None) -> Tensor:
        """Return −(1 − ε) log σ(Δ) − ε log σ(−Δ) per pair, Δ = r(y_w) − r(y_l)."""
        from torch.nn.functional import logsigmoid

        gain_B = chosen_reward_B - rejected_reward_B
        return -(1 - self.flip_rate) * logsigmoid(gain_B) - self.flip_rate * logsigmoid(-gain_B)
