"""Length control (Appendix A): the paper's selection."""

from __future__ import annotations

import math
import random
from typing import Literal

from mt.selection.base import Candidates
from mt.selection.pairs import PairSelection, Picks


class LengthControlled(PairSelection):
    """The shortest response above the prompt's mean reward over the lowest reward (Appendix A)."""

    shortest_in: Literal["characters"] | None = None
    """What a length counts; null counts the tokens of the policy that gave the response."""
    ties: Literal["order"] | None = None
    """Which of equally short ones is chosen: the one sampled first; null chooses the higher reward."""

    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Pick one pair; of the lowest rewards it is the one sampled first.

        The paper names neither a unit of length nor an order of equally short responses.
        """
        rewards = prompt.rewards
        low, high, mean = min(rewards), max(rewards), math.fsum(rewards) / len(rewards)
        # The extremes are compared by themselves: the mean of rewards that differ in their last bits may round to one.
        above = [index for index, reward in enumerate(rewards) if reward == high or (reward > mean and reward > low)]
        length = [len(one.text) if self.shortest_in == "characters" else one.n_tokens for one in prompt.responses]
        chosen = min(above, key=lambda index: (length[index], index if self.ties == "order" else -rewards[index]))
        return [(chosen, rewards.index(low))]
