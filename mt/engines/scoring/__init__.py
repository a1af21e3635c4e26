"""Scoring: a reward model's rewards of conversations, and a policy's log-probabilities of responses."""

from mt.engines.scoring.base import Item, OpenRewardModel, Scorer

__all__ = ["Item", "OpenRewardModel", "Scorer"]
