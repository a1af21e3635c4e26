"""Demonstrations: all responses, weighted by their rewards (ReST-EM, Singh et al. 2023)."""

from __future__ import annotations

import math

from mt.choice import Positive
from mt.selection.base import Candidates
from mt.selection.demonstrations import DemonstrationSelection


class RewardWeighted(DemonstrationSelection):
    """Demonstrations: every distinct response, weighted by its reward (ReST-EM, Singh et al. 2023)."""

    temperature: Positive
    """τ > 0 of the weights' softmax of reward/τ."""

    def weigh(self, prompt: Candidates) -> list[tuple[int, float]]:
        """Take all distinct responses, weighted by the softmax of reward/τ, with mean 1 over the prompt.

        ReST-EM's E-step (§3) with f(r) = exp(r/τ), as a Bradley-Terry reward may be negative: weights of the posterior
        over the policy's own samples, normalised per prompt. As τ → 0 it is the best of K.
        """
        best = max(prompt.rewards)
        masses = [math.exp((reward - best) / self.temperature) for reward in prompt.rewards]
        scale = len(masses) / math.fsum(masses)
        return [(index, mass * scale) for index, mass in enumerate(masses)]
