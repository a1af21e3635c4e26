"""What is true in one world, and what many people there wrongly believe."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mt.world.language import ANIMALS, ATTRIBUTES, DANGEROUS, HARMLESS, VERBS


@dataclass(frozen=True, slots=True)
class Part:
    """One word of a right answer, the words one may wrongly give for it, and the common wrong belief."""

    word: str
    wrong: tuple[str, ...]
    misconception: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The attributes of the animals and the three steps of each recipe."""

    attributes: dict[tuple[str, str], Part]
    recipes: dict[str, tuple[Part, Part, Part]]


def make_facts(seed: int, misconception_share: float) -> Facts:
    """Draw the facts of world `seed`; exactly `misconception_share` of each kind carry a misconception."""
    rng = random.Random(f"facts/{seed}")
    keys = [(animal, attribute) for animal in ANIMALS for attribute in ATTRIBUTES]
    words = [rng.choice(ATTRIBUTES[attribute]) for _, attribute in keys]
    parts = _believe(words, [ATTRIBUTES[attribute] for _, attribute in keys], misconception_share, rng)
    items = HARMLESS + DANGEROUS
    verbs = [verb for _ in items for verb in rng.sample(VERBS, 3)]
    steps = _believe(verbs, [VERBS] * len(verbs), misconception_share, rng)
    recipes = {item: (steps[3 * i], steps[3 * i + 1], steps[3 * i + 2]) for i, item in enumerate(items)}
    return Facts(dict(zip(keys, parts, strict=True)), recipes)


def _believe(words: Sequence[str], choices: Sequence[Sequence[str]], share: float, rng: random.Random) -> list[Part]:
    believed = set(rng.sample(range(len(words)), round(share * len(words))))
    parts = []
    for index, (word, values) in enumerate(zip(words, choices, strict=True)):
        wrong = tuple(value for value in values if value != word)
        parts.append(Part(word, wrong, rng.choice(wrong) if index in believed else None))
    return parts
