"""When to stop asking: an endpoint that is down, or one that answers in a way that nothing can be done with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mt.engines.judging.cache import Answer
from mt.errors import JudgeError


class Kind(Enum):
    """How a comparison ended: with a reply that was paid for, refused by the endpoint, or without any reply."""

    REPLIED = "replied"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer and how it came about."""

    answer: Answer
    kind: Kind


class Patience:
    """Counts failures in a row: without a reply at any time, without a usable answer from the beginning."""

    def __init__(self, give_up_after: int, prove_within: int):
        """Allow fewer than so many in a row without a reply, and without a usable answer from the beginning."""
        self.give_up_after, self.prove_within = give_up_after, prove_within
        self.proven = False
        """Whether a usable answer came: then a later failure lies in the comparison, not in the settings."""
        self._silent = self._useless = 0

    def note(self, outcome: Outcome) -> None:
        """Take note of one outcome; raises `JudgeError` where going on would be in vain, or money wasted."""
        self._silent = self._silent + 1 if outcome.kind is Kind.SILENT else 0
        self.proven = self.proven or outcome.answer.problem is None
        self._useless = 0 if self.proven else self._useless + 1
        if self._silent >= self.give_up_after:
            said = f"{self._silent} comparisons in a row got no answer ({outcome.answer.problem})"
        elif self._useless >= self.prove_within:
            said = f"the first {self._useless} comparisons got no usable answer ({outcome.answer.problem})"
        else:
            return
        raise JudgeError(f"judge: {said}. What was answered is kept; run again to go on.")
