"""Pairs by a margin (DNO, Rosset et al. 2024)."""

from __future__ import annotations

import random

from mt.choice import Count, Positive
from mt.selection.base import Candidates
from mt.selection.pairs import PairSelection, Picks


class Margin(PairSelection):
    """The best response over those that lie far enough below (DNO, Rosset et al. 2024)."""

    margin: Positive
    """Least difference in reward, > 0."""
    max_pairs: Count
    """Most pairs that one prompt gives, at least 1."""

    def most_rows(self, samples: int) -> int:
        """Return how many pairs a prompt with so many responses gives at most."""
        return min(self.max_pairs, samples - 1)

    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Pick the best response over each that lies at least the margin below, worst first."""
        rewards = prompt.rewards
        best = rewards.index(max(rewards))
        order = sorted(range(len(rewards)), key=lambda index: rewards[index])
        return [(best, index) for index in order if rewards[best] - rewards[index] >= self.margin][: self.max_pairs]
