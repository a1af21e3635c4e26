"""The best response over the worst (SPPO, Wu et al. 2024b)."""

from __future__ import annotations

import random

from mt.selection.base import Candidates
from mt.selection.pairs import PairSelection, Picks


class BestWorst(PairSelection):
    """The highest reward over the lowest."""

    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Pick one pair; among equals the one sampled first."""
        return [(prompt.rewards.index(max(prompt.rewards)), prompt.rewards.index(min(prompt.rewards)))]
