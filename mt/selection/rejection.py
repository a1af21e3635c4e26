"""Statistical rejection sampling (RSO, Liu et al. 2023)."""

from __future__ import annotations

import math
import random

from mt.choice import Positive
from mt.selection.base import Candidates
from mt.selection.pairs import PairSelection, Picks


class Rejection(PairSelection):
    """Two responses by statistical rejection sampling, ordered by reward (Liu et al. 2023)."""

    temperature: Positive
    """β > 0 of the acceptance probability exp((r − r_max)/β) (Liu et al. 2023, Algorithm 1)."""

    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Pick the first two accepted responses; r_max is the best reward not yet accepted.

        Accepted ones are draws from the policy that is optimal under the rewards. Two are enough for one pair a
        prompt (the original takes 8 of 64 and pairs them at random).
        """
        rewards, left, accepted = prompt.rewards, list(range(len(prompt.rewards))), list[int]()
        while len(accepted) < 2:
            best = max(rewards[index] for index in left)
            passed = [index for index in left if rng.random() < math.exp((rewards[index] - best) / self.temperature)]
            accepted += passed
            left = [index for index in left if index not in passed]
        one, other = accepted[:2]
        return [(one, other) if rewards[one] > rewards[other] else (other, one)]
