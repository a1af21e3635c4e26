"""Tiers of scores with length control (Meta-Rewarding, Wu et al. 2024a)."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from mt.selection.base import Candidates
from mt.selection.pairs import PairSelection, Picks


class Tiers(PairSelection):
    """The shortest response of the best score tier over the longest of the worst (Wu et al. 2024a)."""

    rho: Annotated[float, Field(ge=0, lt=0.5)]
    """Width ρ of the tiers in [0, 0.5), as a share of the range of scores (Wu et al. 2024a, §2.1)."""

    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Pick one pair. The best tier reaches from S_max down to (1−ρ)S_max + ρS_min, the worst mirrors it.

        Equally long ones: the better, or the worse, reward, then the first sampled.
        """
        rewards, tokens = prompt.rewards, [response.n_tokens for response in prompt.responses]
        low, high, rho = min(rewards), max(rewards), self.rho
        # min and max keep the extremes inside their own tiers, whatever the bounds round to.
        best = [index for index, reward in enumerate(rewards) if reward >= min(high, (1 - rho) * high + rho * low)]
        worst = [index for index, reward in enumerate(rewards) if reward <= max(low, (1 - rho) * low + rho * high)]
        chosen = min(best, key=lambda index: (tokens[index], -rewards[index]))
        return [(chosen, min(worst, key=lambda index: (-tokens[index], rewards[index])))]
