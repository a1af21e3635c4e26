"""What a tracker is: its settings, the run that it gets, and the few calls that report to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from mt.choice import Choice, Positive

if TYPE_CHECKING:
    from mt.tracking.guard import Guarded

TableValue = str | float | int | None


@dataclass(frozen=True)
class RunInfo:
    """A run as a tracker sees it."""

    name: str
    folder: Path
    """Where its record lies; a tracker's files lie below."""
    config: Mapping[str, Any]
    sweep: str | None = None
    job_type: str = "run"
    stages: Mapping[str, str] | None = None
    """Keys of the plan's stages by their names in the tracker."""
    groups: Sequence[str] = ("method", "objective")
    """The groups whose choices distinguish the runs of a sweep."""


class Tracker(Protocol):
    """Receives what a run reports; a call may raise or take long, because it is made by `guard.Guarded` alone."""

    def start(self, run: RunInfo) -> None:
        """Introduce the run; one that was tracked before is continued."""
        ...

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        """Report values at a step of their axis: "iteration", or "train/<stage>/step" for the curves of a training."""
        ...

    def table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[TableValue]], iteration: int | None
    ) -> None:
        """Show a table, of an iteration or of the whole run."""
        ...

    def finish(self, state: str, record: Path) -> None:
        """End with the run's state, and keep its record.json beside the values."""
        ...

    def give_up(self) -> None:
        """Let go of everything without waiting: a call took too long, and no other will follow."""
        ...


class Tracking(Choice):
    """Whom a run reports to while it goes on (`tracking=`); the run's own record is kept in any case."""

    GROUP: ClassVar[str] = "tracking"
    PACKAGE: ClassVar[str] = "mt.tracking"

    @abstractmethod
    def open(self, run: RunInfo, say: Callable[[str], None]) -> Guarded | None:
        """Return the opened tracker of a run, or None; `say` shows a line to the user, from any thread."""

    def files(self, folder: Path) -> str:
        """Return where a tracker's files of a run, or of a sweep's runs, lie and how they are used; empty for none."""
        return ""

    def check(self) -> None:
        """Raise MissingPackageError where the tracker's package is not installed."""


class Reporting(Tracking):
    """What trackers have in common."""

    sample_prompts: Annotated[int, Field(ge=0)]
    """Prompts per iteration whose sampled responses are shown in a table."""
    timeout_s: Positive
    """Seconds that a run waits for its tracker at most, once: a call that takes longer ends the tracking. The end of
    a run waits so long for an upload."""
