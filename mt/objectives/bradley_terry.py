"""The loss of the reward model (Bradley and Terry 1952)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.objectives.batch import Losses, preference_metrics

if TYPE_CHECKING:
    from torch import Tensor


def bradley_terry(chosen_reward_B: Tensor, rejected_reward_B: Tensor, weight_B: Tensor | None = None) -> Losses:
    """Return −log σ(r(y_w;x) − r(y_l;x)) per pair (Eq. 1), times the pair's weight where weights are given.

    Rewards are the reward model's raw outputs, shape (B,).
    """
    from torch.nn.functional import logsigmoid

    loss_B = -logsigmoid(chosen_reward_B - rejected_reward_B)
    metrics = preference_metrics(chosen_reward_B, rejected_reward_B)
    return (loss_B if weight_B is None else weight_B * loss_B), metrics
