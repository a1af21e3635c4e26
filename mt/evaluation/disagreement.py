"""Where two reward models order the responses to a prompt the other way round, the surest cases first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two responses to one prompt: the first model prefers `one`, the second model `other` (positions).

    The margins say by how much (always positive), in units of the model's spread, so that scales of rewards do not
    matter.
    """

    prompt_id: str
    one: int
    other: int
    first_margin: float
    second_margin: float

    @property
    def strength(self) -> float:
        """How sure the less sure model is."""
        return min(self.first_margin, self.second_margin)


def disagreements(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]], most: int
) -> list[Disagreement]:
    """Return the strongest disagreement of each prompt, at most so many, the strongest first.

    Both hold the rewards of the same responses by prompt.
    """
    units, found = (spread(first), spread(second)), []
    for prompt_id, rewards in first.items():
        opposed = [
            Disagreement(prompt_id, *((i, j) if by_first > 0 else (j, i)), abs(by_first), abs(by_second))
            for i, j in combinations(range(len(rewards)), 2)
            if (by_first := _margin(rewards, i, j, units[0]))
            * (by_second := _margin(second[prompt_id], i, j, units[1]))
            < 0
        ]
        if opposed:
            found.append(max(opposed, key=lambda pair: pair.strength))
    return sorted(found, key=lambda pair: -pair.strength)[:most]


def spread(rewards: Mapping[str, Sequence[float]]) -> float:
    """Return the root of the mean squared difference of two rewards of one prompt; 1 where there is none."""
    squares = [(a - b) ** 2 for row in rewards.values() for a, b in combinations(row, 2)]
    return math.sqrt(sum(squares) / len(squares)) if any(squares) else 1.0


def _margin(rewards: Sequence[float], i: int, j: int, unit: float) -> float:
    return (rewards[i] - rewards[j]) / unit
