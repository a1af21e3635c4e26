"""What may be trained on: prompts without those of evaluation, and a part held out for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mt.data.prompts import content_hash, user_text
from mt.types import Demonstration, Pair, Prompt

PromptRow = TypeVar("PromptRow", Prompt, Demonstration, Pair)
"""Rows that hold a prompt."""

_WORDS = re.compile(r"\w+")


class Contamination:
    """Knows whether a text overlaps with any of some evaluation texts: equal, or `ngram` words in a row."""

    def __init__(self, evaluation: Iterable[str], ngram: int | None) -> None:
        self.ngram = ngram
        self.whole: set[tuple[str, ...]] = set()
        self.parts: set[tuple[str, ...]] = set()
        for text in evaluation:
            words = normalised(text)
            self.whole.add(words)
            self.parts.update(self._ngrams(words))

    def kind(self, text: str) -> str | None:
        """Return "equal", "overlapping" or None."""
        words = normalised(text)
        if words in self.whole:
            return "equal"
        return "overlapping" if any(part in self.parts for part in self._ngrams(words)) else None

    def _ngrams(self, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if self.ngram is not None:
            for start in range(len(words) - self.ngram + 1):
                yield words[start : start + self.ngram]


def normalised(text: str) -> tuple[str, ...]:
    """Return a text's words: Unicode forms, case, punctuation and white space do not count.

    A text without any word (such as emoji only) is one word by itself.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return tuple(_WORDS.findall(plain)) or (plain.strip(),)


def decontaminate(
    prompts: Iterable[PromptRow], evaluation: Iterable[Prompt], ngram: int | None
) -> tuple[list[PromptRow], dict[str, int]]:
    """Return the rows whose prompts share nothing with evaluation, and how many were taken out and why.

    `ngram` is the number of words in a row that counts as an overlap; None compares whole prompts only. Only the
    user's turns are compared.
    """
    contamination = Contamination(map(user_text, evaluation), ngram)
    counts = {"equal": 0, "overlapping": 0}
    kept = []
    for prompt in prompts:
        if (kind := contamination.kind(user_text(prompt))) is None:
            kept.append(prompt)
        else:
            counts[kind] += 1
    return kept, {f"contaminated_{kind}": count for kind, count in counts.items()}


def split(prompts: list[Prompt], held_out: float) -> tuple[list[Prompt], list[Prompt]]:
    """Return (training prompts, held-out prompts), disjoint and each in the given order.

    `held_out` is a share below 1 (at least one prompt), or a count. A prompt's content alone decides its rank, so
    that neither order nor ids move a prompt from one part to the other.
    """
    count = max(1, round(held_out * len(prompts))) if held_out < 1 else int(held_out)
    ranked = sorted(range(len(prompts)), key=lambda i: content_hash(prompts[i].messages))
    chosen = set(ranked[:count])
    train = [prompt for i, prompt in enumerate(prompts) if i not in chosen]
    return train, [prompts[i] for i in sorted(chosen)]
