"""Losses of the reward model, one class and one file each; no module here imports torch at its top."""

from mt.reward_losses.base import RewardLoss
from mt.reward_losses.bradley_terry import BradleyTerry

__all__ = ["BradleyTerry", "RewardLoss"]
