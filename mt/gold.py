"""What a gold judge is: a function that knows what a response is truly worth, and what people and judges see of it."""

from __future__ import annotations

import hashlib
import math
import random
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from mt.choice import Config, NotNegative, Positive
from mt.types import Messages, Response

Gold = Callable[[Messages, Response], float]
"""From a conversation and a response to its gold reward, at most 1; DataError for a prompt that it does not know."""


class GoldLanguage(Config):
    """The language in which a gold judge knows what is right: the settings that its rewards depend on."""

    gold_margin: NotNegative
    """Two answers count as different in gold where they differ by more than this."""

    @abstractmethod
    def gold(self, seed: int) -> Gold:
        """Return the gold judge of the data with this seed."""

    def prefers(self, first: float, second: float) -> bool | None:
        """Return whether the first of two gold rewards is the better one, or None where they count as equal."""
        return None if abs(first - second) <= self.gold_margin else first > second


class PeopleConfig(Config):
    """Human-like labels: P(y ≻ z) = floor + (1 − 2 floor)·σ((Δgold + length_weight·Δwords)/temperature)."""

    floor: Annotated[float, Field(ge=0.0, lt=0.5)]
    """Chance that a person prefers the far worse answer."""
    length_weight: float
    """Worth of one more word, in gold: the bias that a policy learns to exploit."""
    temperature: Positive
    """Difference in gold that raises the odds e-fold."""


class GoldJudgeConfig(Config):
    """A judge who sees gold through logistic noise and may like length."""

    temperature: Positive
    """Difference in noisy gold that raises the odds of a preference e-fold."""
    noise: NotNegative
    """Scale of the logistic noise on the difference in gold."""
    length_weight: float
    """Worth of one more word, in gold."""


def preference_probability(
    people: PeopleConfig, gold: Gold, messages: Messages, first: Response, second: Response
) -> float:
    """Return P(first ≻ second) = floor + (1 − 2 floor)·σ((Δgold + length_weight·Δwords)/temperature)."""
    advantage = _advantage(gold, people.length_weight, messages, first, second)
    return people.floor + (1 - 2 * people.floor) * sigmoid(advantage / people.temperature)


def gold_judge(gold: Gold, judge: GoldJudgeConfig, messages: Messages, first: str, second: str, *seeds: int) -> float:
    """Return a preference in [1, 2]: 1 is for the first response, 2 for the second, 1.5 a draw.

    1 + σ((Δgold + length_weight·Δwords + noise)/temperature). The noise depends on the content, its order and
    the seeds alone, so that a judgment can be repeated, and a swapped pair is judged afresh. Equal texts are a draw.
    """
    if first == second:
        return 1.5
    advantage = _advantage(gold, judge.length_weight, messages, Response(second, 0), Response(first, 0))
    rng = seeded_by(*seeds, messages[-1]["content"], first, second)
    return 1 + sigmoid((advantage + logistic_noise(judge.noise, rng)) / judge.temperature)


def _advantage(gold: Gold, length_weight: float, messages: Messages, one: Response, other: Response) -> float:
    """Return Δgold + length_weight·Δwords."""
    difference = gold(messages, one) - gold(messages, other)
    return difference + length_weight * (len(one.text.split()) - len(other.text.split()))


def seeded_by(*content: object) -> random.Random:
    """Return a generator whose seed is a hash of the content."""
    digest = hashlib.sha256("\x1f".join(map(str, content)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def logistic_noise(scale: float, rng: random.Random) -> float:
    """Draw from the logistic distribution with mean 0 and the given scale."""
    u = min(max(rng.random(), 1e-12), 1 - 1e-12)
    return scale * math.log(u / (1 - u))


def sigmoid(x: float) -> float:
    """Return 1/(1 + exp(−x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
