"""The gold judge of the data: it knows the gold rewards and is called for every comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from mt.engines.judging.base import Judge, JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question, computed, scored
from mt.errors import JudgeError


class GoldJudge(Judge):
    """The gold judge of the data: comparisons have the noise that the data's own settings give it, scores have none."""

    needs_gold: ClassVar[bool] = True

    def backend(self, context: JudgeContext) -> GoldBackend:
        """Return the gold judge."""
        return GoldBackend(context)


class GoldBackend:
    """Answers by a function that depends on the content alone, noise included."""

    def __init__(self, context: JudgeContext):
        """Take the gold judge and what distinguishes it from others (its world and its noise)."""
        if context.prefer is None:
            raise JudgeError("judge=gold: this data has no gold judge. The synthetic world has one (data=world).")
        self.name, self.version = "gold", context.version
        self.identity: Mapping[str, Any] = {}
        self._prefer, self._gold, self._style = context.prefer, context.gold, context.style

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield the answers in order; nothing is kept, since asking again costs nothing."""
        for index, question in enumerate(questions):
            if self._style == "score" and self._gold is not None:
                messages, response, _ = question
                yield index, scored(self._gold(messages, response))
            else:
                yield index, computed(self._prefer(*question), self._style)
