"""Reward-model data whose self-training pairs are labelled by the policy's own consensus (ours, not the paper's)."""

from __future__ import annotations

from mt.choice import Share
from mt.methods.reward_data.base import PairData
from mt.methods.steps import Steps
from mt.selection.similarities import Similarity
from mt.stages.rewards import ConsensusScores, MixedRewards
from mt.workflow.stage import Stage


class Consensus(PairData):
    """Self-training pairs whose responses are ordered by their mean similarity to the prompt's other responses."""

    similarity: Similarity
    """The similarity of two responses, from 0 to 1."""
    reward_weight: Share
    """Weight, in [0, 1), of the labeler's reward beside the consensus; each is scaled by how much it varies within
    prompts. 0 is consensus alone."""

    def labels_of(self, steps: Steps, samples: Stage, labeler: Stage) -> Stage:
        """Return the consensus, or its mixture with the labeler's rewards."""
        consensus = steps.add(ConsensusScores(samples, self.similarity))
        if not self.reward_weight:
            return consensus
        weights = (1 - self.reward_weight, self.reward_weight)
        return steps.add(MixedRewards((consensus, steps.score(labeler, samples)), weights))
