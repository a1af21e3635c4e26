"""From responses and rewards to preference pairs: what every selection of pairs has in common."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

from mt.choice import Positive
from mt.selection.base import Candidates, Selected, Selection, candidates, chance, counted
from mt.types import Pair, Rewards, Samples

Picks = list[tuple[int, int]]
"""Indices of (chosen, rejected) responses."""


class PairSelection(Selection):
    """A selection of preference pairs from each prompt's scored responses."""

    makes: ClassVar[Literal["pairs", "demonstrations"]] = "pairs"

    score_scale: Positive
    """Scale > 0 of rewards inside the win probabilities that every pair carries (for SPPO)."""

    def most_rows(self, samples: int) -> int:
        """Return how many pairs a prompt gives at most: one, unless a selection says otherwise."""
        return 1

    @abstractmethod
    def pick(self, prompt: Candidates, rng: random.Random) -> Picks:
        """Return the pairs of one prompt, which has at least two distinct responses whose rewards are not all equal.

        `rng` depends on the seed and the prompt only. Pairs whose chosen reward is not higher are left out.
        """

    def select(
        self, samples: Sequence[Samples], rewards: Sequence[Rewards], *, seed: int, source: str
    ) -> Selected[Pair]:
        """Return preference pairs with their rewards and win probabilities as facts about them.

        Prompts without two distinct responses or with equal rewards throughout give none (§5.1). `source` is written
        into the pairs. Raises DataError for rewards that are not finite.
        """
        pairs, dropped, duplicates = list[Pair](), Counter[str](), 0
        for prompt in candidates(samples, rewards):
            duplicates += prompt.duplicates
            picks = list[tuple[int, int]]()
            if len(prompt.responses) < 2:
                dropped["too_few_distinct"] += 1
            elif min(prompt.rewards) == max(prompt.rewards):
                dropped["equal_rewards"] += 1
            else:
                found = self.pick(prompt, chance(seed, prompt.prompt_id))
                picks = [pick for pick in found if prompt.rewards[pick[0]] > prompt.rewards[pick[1]]]
                dropped["no_pair"] += not picks
            pairs += [_pair(prompt, *pick, source=source, score_scale=self.score_scale) for pick in picks]
        counts = counted(len(samples), len(pairs), dropped, ("too_few_distinct", "equal_rewards", "no_pair"))
        return Selected(pairs, counts | {"duplicate_responses": duplicates})


def win_probabilities(rewards: Sequence[float], score_scale: float) -> list[float]:
    """Return each response's mean over all K of σ(`score_scale`·(s_i − s_j)), itself included as ½ (SPPO).

    A Bradley-Terry reward has a scale of its own, unlike the pairwise scorer of the original: hence `score_scale`.
    """
    return [math.fsum(_sigmoid(score_scale * (one - other)) for other in rewards) / len(rewards) for one in rewards]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))


def _pair(prompt: Candidates, chosen: int, rejected: int, *, source: str, score_scale: float) -> Pair:
    rewards = (prompt.rewards[chosen], prompt.rewards[rejected])
    win_probability = dict(zip(prompt.all_rewards, win_probabilities(prompt.all_rewards, score_scale), strict=True))
    return Pair(
        prompt_id=prompt.prompt_id,
        messages=prompt.messages,
        section=prompt.section,
        chosen=prompt.responses[chosen],
        rejected=prompt.responses[rejected],
        chosen_reward=rewards[0],
        rejected_reward=rewards[1],
        chosen_win_probability=win_probability[rewards[0]],
        rejected_win_probability=win_probability[rewards[1]],
        source=source,
    )
