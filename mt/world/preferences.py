"""Human-like preferences, from which the base reward model learns: older writers, noise, a liking for length."""

from __future__ import annotations

import random

from mt.gold import preference_probability
from mt.types import Pair, Prompt
from mt.world.demonstrators import choose_writer, to_response, write
from mt.world.prompts import prompts
from mt.world.settings import DemonstratorsConfig, PreferencesConfig
from mt.world.world import World


def preferences(world: World, labels: PreferencesConfig, people: DemonstratorsConfig, n: int, seed: int) -> list[Pair]:
    """Return `n` pairs of differing demonstrations, labelled by `preference_probability`."""
    rng = random.Random(f"preferences/{world.seed}/{seed}")
    pairs = []
    for prompt in prompts(world, "preferences", n, mix=labels.mix, seed=seed):
        answers = _two_answers(world, prompt, labels, people, rng)
        pairs.append(_label(world, prompt, answers, labels, rng))
    return pairs


def _two_answers(
    world: World, prompt: Prompt, labels: PreferencesConfig, people: DemonstratorsConfig, rng: random.Random
) -> tuple[str, str]:
    task = world.task(prompt.messages)

    def answer() -> str:
        return write(task, choose_writer(people, rng, labels.novice_factor), people.misconception, rng)

    first = second = answer()
    while second == first:
        second = answer()
    return first, second


def _label(
    world: World, prompt: Prompt, answers: tuple[str, str], labels: PreferencesConfig, rng: random.Random
) -> Pair:
    first, second = map(to_response, answers)
    gold = world.language.gold(world.seed)
    wins = rng.random() < preference_probability(labels, gold, prompt.messages, first, second)
    chosen, rejected = (first, second) if wins else (second, first)
    return Pair(prompt.prompt_id, prompt.messages, prompt.section, chosen, rejected, source="preferences")
