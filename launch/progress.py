"""How far a job's work is: a small file that its process rewrites, and touches as its heartbeat."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from launch.sweep import rows
from mt.workflow.stage import Stage
from mt.workflow.store import write_json
from mt.workflow.work import NullObserver

HEARTBEAT_S = 5.0
FRESH_S = 30.0
"""A heartbeat older than this does not count without the scheduler's word."""
SILENT_S = 300.0
"""A heartbeat older than this is worth a word: a busy node and a network file system delay it by a minute or two."""
_WRITE_EVERY_S = 1.0


@dataclass(frozen=True)
class Progress:
    """The last report of a job's process."""

    stage: str | None = None
    """Key of the stage that is running."""
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    best: float = 0.0
    """The furthest that this stage came in any attempt (0 to 1)."""
    started: float = 0.0
    """When the stage began in this attempt (seconds since the epoch)."""
    first: float | None = None
    """`done` at the stage's first report in this attempt: what an earlier attempt had left."""
    waiting: str | None = None
    """Who computes the stage while this job waits for it."""

    def seconds_left(self, now: float) -> float | None:
        """Estimate how long the stage will still take, from its speed in this attempt."""
        gained = self.done - (self.first or 0.0)
        if gained <= 0 or self.total <= 0:
            return None
        return (now - self.started) / gained * max(0.0, self.total - self.done)


_PROGRESS = TypeAdapter(Progress)


def read(file: Path) -> Progress:
    """Return the last word of a job's process; empty when there is none that can be read."""
    with contextlib.suppress(OSError, ValidationError):
        return _PROGRESS.validate_json(file.read_bytes())
    return Progress()


def is_fresh(file: Path) -> bool:
    """Return whether the process's last heartbeat is recent; one from the future comes from a wrong clock."""
    try:
        return abs(time.time() - file.stat().st_mtime) < FRESH_S
    except FileNotFoundError:
        return False


def silence_s(file: Path) -> float | None:
    """Return the seconds since the last sign of life (0 for one from the future), or None where it ended or began."""
    try:
        last = file.stat().st_mtime
    except FileNotFoundError:
        return None
    return max(0.0, time.time() - last) if last else None


def retire(file: Path) -> None:
    """Make the heartbeat old at once, because its process has ended."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(file, (0, 0))


def file_of(folder: Path, job: str) -> Path:
    """Return where a job's progress is written in its sweep folder."""
    return folder / "progress" / f"{job}.json"


def journal_of(folder: Path, job: str) -> Path:
    """Return where the stages that a job computed are listed in its sweep folder."""
    return folder / "computed" / f"{job}.jsonl"


@dataclass(frozen=True)
class Computed:
    """A stage that a job computed."""

    key: str
    stage: str
    seconds: float


def computed(folder: Path, job: str) -> list[Computed]:
    """Return the stages that a job computed itself, in all its attempts."""
    return list(rows(journal_of(folder, job), Computed).read())


class Reporter(NullObserver):
    """Writes the progress of an execution into a job's file, and keeps its heartbeat going."""

    def __init__(self, folder: Path, job: str) -> None:
        self._file = file_of(folder, job)
        self._journal = journal_of(folder, job)
        self._now = read(self._file)
        self._written = 0.0
        self._stop = threading.Event()
        self._write(waiting=None)
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def close(self) -> None:
        """Stop the heartbeat."""
        self._stop.set()

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Write down which stages this job itself computed, and how long each took."""
        if facts is not None:
            with rows(self._journal, Computed) as computed:
                computed.append(asdict(Computed(stage.key, stage.name, facts["seconds"])))

    def started(self, stage: Stage) -> None:
        """Write down which stage runs; how far it ever came is kept when it is the one that ran before."""
        best = self._now.best if self._now.stage == stage.key else 0.0
        self._begin(stage, best, waiting=None)

    def waiting(self, stage: Stage, owner: str) -> None:
        """Write down which process the job waits for."""
        self._begin(stage, 0.0, waiting=owner)

    def progress(self, stage: Stage, done: float, total: float, unit: str, numbers: dict[str, float]) -> None:
        """Write down how far the stage is, at most once a second."""
        best = max(self._now.best, done / total if total else 0.0)
        first = done if self._now.first is None else self._now.first
        values = {"done": done, "total": total, "unit": unit, "best": best, "first": first}
        if time.monotonic() - self._written >= _WRITE_EVERY_S or done >= total:
            self._write(**values)
        else:
            self._now = Progress(**{**asdict(self._now), **values})

    def _begin(self, stage: Stage, best: float, waiting: str | None) -> None:
        self._now = Progress(stage=stage.key, best=best, started=time.time(), waiting=waiting)
        self._write()

    def _write(self, **values: Any) -> None:
        self._now = Progress(**{**asdict(self._now), **values})
        write_json(self._file, asdict(self._now))
        self._written = time.monotonic()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self._file)
