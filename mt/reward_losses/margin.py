"""Bradley-Terry with a margin (Touvron et al. 2023, Llama 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mt.choice import Positive
from mt.reward_losses.base import RewardLoss

if TYPE_CHECKING:
    from torch import Tensor


class Margin(RewardLoss):
    """−log σ(r(y_w) − r(y_l) − m): clearly better responses have to lie further apart (Touvron et al. 2023, Eq. 2)."""

    needs_margins: ClassVar[bool] = True

    scale: Positive
    """m is `scale` > 0 times the difference of the rewards that the pair carries, 0 where that is negative (our choice:
    Llama 2's people rated by how much the chosen response is better)."""

    def loss(self, chosen_reward_B: Tensor, rejected_reward_B: Tensor, margin_B: Tensor | None) -> Tensor:
        """Return −log σ(r(y_w) − r(y_l) − m) per pair."""
        from torch.nn.functional import logsigmoid

        assert margin_B is not None  # the trainer refuses pairs without rewards
        return -logsigmoid(chosen_reward_B - rejected_reward_B - self.scale * margin_B.clamp(min=0))
