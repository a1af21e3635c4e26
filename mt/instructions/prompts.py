"""Prompts: questions with two or three demands, in endless deterministic streams, one per split.

A question belongs to one split, so that no text stands in two of them; within a split no text comes twice. Splits that
train nothing ask about topics of their own, and the benchmark of reward models has kinds of demands of its own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from functools import cache
from itertools import islice

from mt.errors import DataError, describe
from mt.instructions.demands import DemandKind
from mt.instructions.kinds import KINDS
from mt.instructions.topics import EVALUATION_TOPICS, TRAINING_TOPICS, questions
from mt.types import Prompt

FAMILIAR = [kind for kind in KINDS if not kind.held_out]
SPLITS: dict[str, tuple[dict[str, str], int, int]] = {
    "train": (TRAINING_TOPICS, 0, 70),
    "preferences": (TRAINING_TOPICS, 70, 100),
    "eval": (EVALUATION_TOPICS, 0, 40),
    "baseline": (EVALUATION_TOPICS, 40, 60),
    "harder": (EVALUATION_TOPICS, 60, 75),
    "benchmark": (EVALUATION_TOPICS, 75, 100),
}
"""Each split's topics, and which hundredths of their questions it has."""


def prompts(seed: int, split: str, size: int, three: float) -> list[Prompt]:
    """Return the first `size` prompts of a split; more prompts never change the earlier ones.

    A share `three` of them, all of the harder ones, has three demands instead of two.
    """
    return list(islice(_stream(seed, split, three), size))


def refuse_too_many(split: str, size: int) -> None:
    """Raise DataError where a split may not have so many prompts: it has one for each question and two kinds."""
    most = len(_questions(split)) * len(_pairs(split)) // 2
    if size > most:
        raise DataError(describe("size", size, f"the split {split} has fewer prompts", allowed=f"at most {most}"))


def _stream(seed: int, split: str, three: float) -> Iterator[Prompt]:
    rng, asked, pairs = random.Random(f"instructions/{seed}/{split}"), _questions(split), _pairs(split)
    seen: set[str] = set()
    while True:
        question = rng.choice(asked)
        ((first, second),) = rng.choices(list(pairs), list(pairs.values()))
        chosen = [first, second]
        if split == "harder" or rng.random() < three:
            thirds = [kind for kind in FAMILIAR if kind.agrees_with(first) and kind.agrees_with(second)]
            chosen += rng.choices(thirds, [kind.weight for kind in thirds]) if thirds else []
        rng.shuffle(chosen)
        text = " ".join([question, *(kind.draw(rng) for kind in chosen)])
        if text not in seen:
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            name = f"{first.name}/{len(seen):05d}" if split == "benchmark" else f"{split}-{len(seen):05d}"
            seen.add(text)
            yield Prompt(f"{name}-{digest}", [{"role": "user", "content": text}], first.family)


def _questions(split: str) -> list[str]:
    """Return the questions of a split, chosen by a hash of their text."""
    topics, first, last = SPLITS[split]
    hundredth = {text: int(hashlib.sha256(text.encode()).hexdigest(), 16) % 100 for text in questions(topics)}
    return [text for text, place in hundredth.items() if first <= place < last]


@cache
def _pairs(split: str) -> dict[tuple[DemandKind, DemandKind], int]:
    """Return two kinds that agree, with their weight; the first one trains nothing where the split is the benchmark."""
    firsts = [kind for kind in KINDS if kind.held_out] if split == "benchmark" else FAMILIAR
    agreeing = [(first, second) for first in firsts for second in FAMILIAR if first.agrees_with(second)]
    return {pair: pair[0].weight * pair[1].weight for pair in agreeing}
