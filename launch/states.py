"""The states of an attempt, a job, a run and a sweep: one set, from what a job writes down to what is shown."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """How something stands, the worst first; an attempt is failed, lost, cancelled, running or done."""

    FAILED = "failed"
    LOST = "lost"
    """It was killed, or the scheduler no longer knows it."""
    BLOCKED = "blocked"
    """Another job, which it waits for, did not succeed."""
    CANCELLED = "cancelled"
    """It was asked to stop."""
    RUNNING = "running"
    UNKNOWN = "unknown"
    """The scheduler could not be asked."""
    HELD = "held"
    QUEUED = "queued"
    """It waits for a node."""
    WAITING = "waiting"
    """It waits for other jobs."""
    NEW = "new"
    DONE = "done"

    @property
    def colour(self) -> str:
        """The colour in which it is shown."""
        own = {State.DONE: "green", State.RUNNING: "cyan", State.NEW: "dim"}
        return own.get(self, "red" if self in BROKEN else "yellow")


BROKEN = frozenset({State.FAILED, State.LOST, State.BLOCKED, State.CANCELLED})
ACTIVE = frozenset({State.HELD, State.RUNNING, State.QUEUED, State.WAITING})
MAY_RUN = ACTIVE | {State.UNKNOWN}
"""A scheduler that does not answer ends nothing: waiting continues."""


def worst(states: Iterable[State]) -> State:
    """Return the worst of several states; done where there are none."""
    return min(states, key=list(State).index, default=State.DONE)
