"""The policy's own consensus as reward (reward=consensus): no reward model at all."""

from __future__ import annotations

from typing import ClassVar

from mt.methods.rewards.computed import RewardWithoutModel
from mt.methods.steps import Steps
from mt.selection.similarities import Similarity
from mt.stages.rewards import ComputedReward, ConsensusReward


class Consensus(RewardWithoutModel):
    """Mean similarity of a response to the prompt's other responses: a policy's typical answer is more often right."""

    compares_responses: ClassVar[bool] = True

    similarity: Similarity
    """The similarity of two responses, from 0 to 1."""

    def rule(self, steps: Steps) -> ComputedReward:
        """Return the consensus."""
        return ConsensusReward(self.similarity)
