"""The gold judge as a judge: a weighted preference between two responses, blurred by logistic noise."""

from __future__ import annotations

import hashlib
import math
import random

from mt.types import Messages
from mt.world.gold import gold
from mt.world.preferences import sigmoid
from mt.world.settings import GoldJudgeConfig
from mt.world.world import World


def gold_judge(
    world: World, judge: GoldJudgeConfig, messages: Messages, first: str, second: str, seed: int = 0
) -> float:
    """Return a preference in [1, 2]: 1 is for the first response, 2 for the second, 1.5 a draw.

    1 + σ((Δgold + length_weight·Δwords + noise)/temperature). The noise depends on the content, its order and
    `seed` alone, so that a judgment can be repeated, and a swapped pair is judged afresh. Equal texts are a draw.
    """
    if first == second:
        return 1.5
    advantage = gold(world, messages, second) - gold(world, messages, first)
    advantage += judge.length_weight * (len(second.split()) - len(first.split()))
    rng = seeded_by(world.seed, seed, messages[-1]["content"], first, second)
    return 1 + sigmoid((advantage + logistic_noise(judge.noise, rng)) / judge.temperature)


def seeded_by(*content: object) -> random.Random:
    """Return a generator whose seed is a hash of the content."""
    digest = hashlib.sha256("\x1f".join(map(str, content)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def logistic_noise(scale: float, rng: random.Random) -> float:
    """Draw from the logistic distribution with mean 0 and the given scale."""
    u = min(max(rng.random(), 1e-12), 1 - 1e-12)
    return scale * math.log(u / (1 - u))
