"""The paper's reward-model data (§5.3) and its ablations: self-training pairs, contrast pairs, or both."""

from __future__ import annotations

from typing import Literal

from mt.methods.reward_data.base import PairData
from mt.methods.steps import Steps
from mt.stages.gold import GoldLabels
from mt.workflow.stage import Stage


class Pairs(PairData):
    """What an M-step retrains the reward model on (§5.3), labelled by the method itself or by gold."""

    labels: Literal["reward", "gold"]
    """Who orders the pairs: the method itself, or the gold judge of the data (the positive control)."""

    @property
    def needs_gold(self) -> bool:
        """Whether gold orders the pairs, or scores the E-steps after the first."""
        return super().needs_gold or self.labels == "gold"

    def labels_of(self, steps: Steps, samples: Stage, labeler: Stage) -> Stage:
        """Return the labeler's rewards, or gold."""
        return steps.gold(samples) if self.labels == "gold" else steps.score(labeler, samples)

    def contrast_pairs(self, steps: Steps, new: Stage, old: Stage, labeler: Stage) -> Stage:
        """Return the new policy's responses over the old one's, or ordered by gold."""
        pairs = super().contrast_pairs(steps, new, old, labeler)
        return steps.add(GoldLabels(pairs, *steps.source.gold())) if self.labels == "gold" else pairs
