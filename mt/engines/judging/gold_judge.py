"""The world's oracle as a judge: it knows the gold rewards and is called for every comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question, computed
from mt.engines.judging.template import Style
from mt.types import Messages

Prefer = Callable[[Messages, str, str], float]
"""(the prompt's messages, first text, second text) → preference in [1, 2], 2 where the second is better."""


class GoldAsker:
    """Answers by a function that depends on the content alone, noise included."""

    def __init__(self, prefer: Prefer, version: str, style: Style):
        """Take the oracle and what tells it from other oracles (its world and its noise)."""
        self.name, self.version = "gold", version
        self.identity: Mapping[str, Any] = {}
        self._prefer, self._style = prefer, style

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield the answers in order; nothing is kept, since asking again costs nothing."""
        for index, question in enumerate(questions):
            yield index, computed(self._prefer(*question), self._style)
