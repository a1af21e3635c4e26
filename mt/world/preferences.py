"""Human-like preferences, from which the base reward model learns: older writers, noise, a liking for length."""

from __future__ import annotations

import math
import random

from mt.types import Messages, Pair, Prompt
from mt.world.demonstrators import choose_writer, to_response, write
from mt.world.gold import gold
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


def preference_probability(
    world: World, labels: PreferencesConfig, messages: Messages, first: str, second: str
) -> float:
    """Return P(first ≻ second) = floor + (1 − 2 floor)·σ((Δgold + length_weight·Δwords)/temperature)."""
    advantage = gold(world, messages, first) - gold(world, messages, second)
    advantage += labels.length_weight * (len(first.split()) - len(second.split()))
    return labels.floor + (1 - 2 * labels.floor) * sigmoid(advantage / labels.temperature)


def sigmoid(x: float) -> float:
    """Return 1/(1 + exp(−x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


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
    wins = rng.random() < preference_probability(world, labels, prompt.messages, *answers)
    chosen, rejected = answers if wins else answers[::-1]
    return Pair(
        prompt.prompt_id,
        prompt.messages,
        prompt.section,
        to_response(chosen),
        to_response(rejected),
        source="preferences",
    )
