"""When to stop asking: an endpoint that is down, or one that answers in a way that nothing can be done with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mt.engines.judging.cache import Answer
from mt.errors import JudgeError

_LOOK_AT = "Check judge.*, OPENAI_BASE_URL and the account"
_GO_ON = "What was answered is kept; fix it and run again to go on"


class Kind(Enum):
    """How a comparison ended: with a completion that was paid for, another reply (a refusal, a page), or none."""

    REPLIED = "replied"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, how it came about, and whether it is kept for good."""

    answer: Answer
    kind: Kind
    kept: bool = False


class Patience:
    """Counts failures in a row, and holds back answers whose fault may be the endpoint's or the account's.

    An empty account, an expired key or a wrong address makes every comparison fail. What failed is kept, and never
    asked again, only once a comparison that was asked later is answered: then the fault is its own.
    """

    def __init__(self, give_up_after: int, prove_within: int):
        """Allow fewer than so many in a row without a reply, and without a usable answer."""
        self.give_up_after, self.prove_within = give_up_after, prove_within
        self.proven = False
        """Whether a usable answer came: then a completion that is of no use is its comparison's fault."""
        self._held: dict[int, Callable[[], None]] = {}
        self._silent = self._useless = 0

    def note(self, index: int, outcome: Outcome, keep: Callable[[], None]) -> None:
        """Take note of the outcome of comparison `index`; raises `JudgeError` where none can succeed any more."""
        usable = outcome.answer.problem is None
        self.proven = self.proven or usable
        self._silent = self._silent + 1 if outcome.kind is Kind.SILENT else 0
        self._useless = 0 if usable else self._useless + 1
        if not outcome.kept and outcome.kind is not Kind.SILENT:
            self._held[index] = keep
        if usable:
            self.release(index)
        self._give_up(outcome.answer.problem)

    def release(self, before: int | None = None) -> None:
        """Keep what was held back, or of it what was asked for earlier, if any comparison was answered at all."""
        for index in [one for one in self._held if self.proven and (before is None or one < before)]:
            self._held.pop(index)()

    def _give_up(self, problem: str | None) -> None:
        if self._silent >= self.give_up_after:
            said = f"{self._silent} comparisons in a row got no answer ({problem}). Check OPENAI_BASE_URL"
        elif self._useless >= self.prove_within:
            said = f"{self._useless} comparisons in a row got no usable answer ({problem}). {_LOOK_AT}"
        else:
            return
        self._held.clear()
        raise JudgeError(f"judge: {said}. {_GO_ON}.")
