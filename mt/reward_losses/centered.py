"""Bradley-Terry with rewards kept around zero (Eisenstein et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.choice import NotNegative
from mt.reward_losses.base import RewardLoss

if TYPE_CHECKING:
    from torch import Tensor


class Centered(RewardLoss):
    """Bradley-Terry plus a penalty on the sum of a pair's rewards (Eisenstein et al. 2023, §2)."""

    coefficient: NotNegative
    """Weight ≥ 0 of the penalty."""

    def loss(self, chosen_reward_B: Tensor, rejected_reward_B: Tensor, margin_B: Tensor | None) -> Tensor:
        """Return −log σ(r(y_w) − r(y_l)) + coefficient · (r(y_w) + r(y_l))² per pair."""
        from torch.nn.functional import logsigmoid

        centre_B = (chosen_reward_B + rejected_reward_B) ** 2
        return -logsigmoid(chosen_reward_B - rejected_reward_B) + self.coefficient * centre_B
