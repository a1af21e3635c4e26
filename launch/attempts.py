"""The attempts of a job: when and how each began and ended, and whether the job made progress."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from launch.states import State
from launch.sweep import rows, timestamp

LOST = "lost together with its node or its supervisor"
JobProgress = tuple[int, float]
"""How far a job is: the number of its published stages, and the furthest that the next one ever came (0 to 1)."""


@dataclass(frozen=True)
class Attempt:
    """One start of a job's work."""

    number: int
    id: str
    """The scheduler's job id: an explicit `resume` is a new id, a requeue is not."""
    node: str
    started: str
    mark: JobProgress
    """How far the job was when the attempt began."""
    state: State = State.RUNNING
    reason: str = ""
    ended: str | None = None


def begin(file: Path, job_id: str, mark: JobProgress) -> Attempt:
    """Write down that an attempt begins."""
    attempt = Attempt(len(read(file)) + 1, job_id, node(), timestamp(), mark)
    _append(file, attempt)
    return attempt


def end(file: Path, attempt: Attempt, state: State, reason: str = "") -> None:
    """Write down how an attempt ended."""
    _append(file, replace(attempt, state=state, reason=reason, ended=timestamp()))


def read(file: Path) -> list[Attempt]:
    """Return the attempts in order; one that never said how it ended, and was followed by another, was lost."""
    attempts: dict[int, Attempt] = {}
    for one in rows(file, Attempt).read():
        attempts[one.number] = one
    found = list(attempts.values())
    return [
        replace(one, state=State.LOST, reason=LOST) if one.state == State.RUNNING and one is not found[-1] else one
        for one in found
    ]


def without_progress(attempts: Sequence[Attempt], job_id: str, mark: JobProgress) -> int:
    """Return how many of the latest attempts under this id ended without getting past where they began."""
    count = 0
    for attempt in reversed([attempt for attempt in attempts if attempt.id == job_id]):
        if mark > attempt.mark:
            break
        count += 1
    return count


def node() -> str:
    """Return the scheduler's name of this node, or the machine's."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def file_of(folder: Path, job: str) -> Path:
    """Return where a job's attempts are written in its sweep folder."""
    return folder / "attempts" / f"{job}.jsonl"


def _append(file: Path, attempt: Attempt) -> None:
    with rows(file, Attempt) as attempts:
        attempts.append(asdict(attempt))
