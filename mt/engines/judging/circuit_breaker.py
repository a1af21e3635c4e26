"""The circuit breaker: stop asking an endpoint that is down, or whose answers cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from mt.engines.judging.cache import Answer
from mt.errors import JudgeError

_LOOK_AT = "Check judge.*, OPENAI_BASE_URL and the account"
_GO_ON = "What was answered is kept; fix it and run again to go on"


class CallStatus(Enum):
    """What came back: a completion that was paid for, another reply (a refusal, an error page), or nothing."""

    COMPLETED = auto()
    REFUSED = auto()
    UNANSWERED = auto()


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The answer of a comparison, what came back for it, and whether it is in the cache."""

    answer: Answer
    status: CallStatus
    kept: bool = False


class CircuitBreaker:
    """Counts failures in a row, and holds back unusable answers that the endpoint or the account may have caused.

    An empty account, an expired key or a wrong address makes every comparison fail. What failed is kept, and never
    asked again, only once a comparison that was asked later is answered: then the fault is its own.
    """

    def __init__(self, give_up_after: int, prove_within: int):
        """Give up after so many comparisons in a row without a reply, or without a usable answer."""
        self.give_up_after, self.prove_within = give_up_after, prove_within
        self.proven = False
        """Whether a usable answer came: then a completion that is of no use is its comparison's fault."""
        self._held: dict[int, Callable[[], None]] = {}
        self._unanswered = self._unusable = 0

    def note(self, index: int, result: ComparisonResult, keep: Callable[[], None]) -> None:
        """Count the result of comparison `index`; raises `JudgeError` where no further comparison can succeed."""
        usable = result.answer.problem is None
        self.proven = self.proven or usable
        self._unanswered = self._unanswered + 1 if result.status is CallStatus.UNANSWERED else 0
        self._unusable = 0 if usable else self._unusable + 1
        if not result.kept and result.status is not CallStatus.UNANSWERED:
            self._held[index] = keep
        if usable:
            self.release(index)
        problem = result.answer.problem
        if self._unanswered >= self.give_up_after:
            said = f"{self._unanswered} comparisons in a row got no answer ({problem}). Check OPENAI_BASE_URL"
        elif self._unusable >= self.prove_within:
            said = f"{self._unusable} comparisons in a row got no usable answer ({problem}). {_LOOK_AT}"
        else:
            return
        self._held.clear()
        raise JudgeError(f"judge: {said}. {_GO_ON}.")

    def release(self, before: int | None = None) -> None:
        """Keep what was held back, or of it what was asked for earlier, if any comparison was answered at all."""
        for index in [one for one in self._held if self.proven and (before is None or one < before)]:
            self._held.pop(index)()
