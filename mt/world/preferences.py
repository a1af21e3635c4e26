"""Human-like preferences, from which the base reward model learns: older writers, noise, a liking for length."""

from __future__ import annotations

import random

from mt.gold import preference_probability
from mt.types import Pair
from mt.world.demonstrators import choose_writer, to_response, write
from mt.world.prompts import prompts
from mt.world.settings import DemonstratorsConfig, PreferencesConfig
from mt.world.world import World


def preferences(world: World, labels: PreferencesConfig, people: DemonstratorsConfig, n: int, seed: int) -> list[Pair]:
    """Return `n` pairs of differing demonstrations, labelled by `preference_probability`."""
    rng = random.Random(f"preferences/{world.seed}/{seed}")
    pairs, gold = [], world.language.gold(world.seed)
    for prompt in prompts(world, "preferences", n, mix=labels.mix, seed=seed):
        task = world.task(prompt.messages)
        texts: list[str] = []
        while len(set(texts)) < 2:  # the first answer, and others until one differs from it
            texts.append(write(task, choose_writer(people, rng, labels.novice_factor), people.misconception, rng))
        first, second = to_response(texts[0]), to_response(texts[-1])
        wins = rng.random() < preference_probability(labels, gold, prompt.messages, first, second)
        chosen, rejected = (first, second) if wins else (second, first)
        pairs.append(Pair(prompt.prompt_id, prompt.messages, prompt.section, chosen, rejected, source="preferences"))
    return pairs
