"""Similarities of two responses, from which a consensus is computed: one class and one file each."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from mt.choice import Choice
from mt.errors import DataError, describe


class Similarity(Choice):
    """The similarity of two texts (`reward.similarity`, `rm_data.similarity`)."""

    GROUP: ClassVar[str] = "similarity"
    PACKAGE: ClassVar[str] = "mt.selection.similarities"

    def check(self) -> None:
        """Raise MissingPackageError where a package that it needs is not installed."""

    @abstractmethod
    def between(self, first: str, second: str) -> float:
        """Return the similarity of two texts, in [0, 1] and symmetric."""

    def to_the_others(self, texts: Sequence[str]) -> list[float]:
        """Return each text's mean similarity to all the others; raises DataError for fewer than two texts."""
        if len(texts) < 2:
            problem = "a consensus needs at least two responses to a prompt"
            raise DataError(describe("responses", len(texts), problem, fix="Raise the number of samples"))
        known: dict[tuple[str, str], float] = {}
        for i, first in enumerate(texts):
            for second in texts[:i]:
                if (second, first) not in known:
                    known[first, second] = known[second, first] = self.between(first, second)
        return [
            math.fsum(known[text, other] for j, other in enumerate(texts) if j != i) / (len(texts) - 1)
            for i, text in enumerate(texts)
        ]
