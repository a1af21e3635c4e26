"""The loss of the paper's reward model (Bradley and Terry 1952)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.reward_losses.base import RewardLoss

if TYPE_CHECKING:
    from torch import Tensor


class BradleyTerry(RewardLoss):
    """−log σ(r(y_w) − r(y_l)) (Eq. 1)."""

    def loss(self, chosen_reward_B: Tensor, rejected_reward_B: Tensor, margin_B: Tensor | None) -> Tensor:
        """Return −log σ(r(y_w;x) − r(y_l;x)) per pair (Eq. 1)."""
        from torch.nn.functional import logsigmoid

        return -logsigmoid(chosen_reward_B - rejected_reward_B)
