"""What every loss of a reward model is: its settings and its value per pair."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mt.choice import Choice
from mt.objectives.batch import Losses, preference_metrics

if TYPE_CHECKING:
    from torch import Tensor


class RewardLoss(Choice):
    """A loss of the reward model on preference pairs (`reward_loss=`)."""

    GROUP: ClassVar[str] = "reward_loss"
    PACKAGE: ClassVar[str] = "mt.reward_losses"

    needs_margins: ClassVar[bool] = False
    """Whether it reads how much better the chosen response is, by the rewards that the pairs carry."""

    @abstractmethod
    def loss(self, chosen_reward_B: Tensor, rejected_reward_B: Tensor, margin_B: Tensor | None) -> Tensor:
        """Return one loss per pair from the reward model's raw outputs, each of shape (B,).

        `margin_B` is r(y_w) − r(y_l) by the rewards that the pairs carry, where the loss needs it.
        """

    def __call__(
        self,
        chosen_reward_B: Tensor,
        rejected_reward_B: Tensor,
        weight_B: Tensor | None = None,
        margin_B: Tensor | None = None,
    ) -> Losses:
        """Return the loss per pair, times the pair's weight where weights are given, and the metrics."""
        loss_B = self.loss(chosen_reward_B, rejected_reward_B, margin_B)
        metrics = preference_metrics(chosen_reward_B, rejected_reward_B)
        return (loss_B if weight_B is None else weight_B * loss_B), metrics
