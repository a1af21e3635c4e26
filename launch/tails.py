"""The last words of failed jobs: the ends of what the worker processes of their stages logged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch import progress
from launch.states import State
from launch.survey import JobStatus
from launch.sweep import Sweep
from mt.workflow.store import Store

_BYTES = 64 * 1024


def tails(folder: Path, sweep: Sweep, jobs: Iterable[JobStatus], lines: int) -> dict[Path, tuple[str, list[str]]]:
    """Return the job and the last lines of every worker's log of the stages in which jobs failed, by file."""
    found: dict[Path, tuple[str, list[str]]] = {}
    for job in jobs:
        stage = progress.read(progress.file_of(folder, job.name)).stage if job.state == State.FAILED else None
        for log in sorted(Store(Path(sweep.store)).scratch(stage).glob("*.log")) if stage else ():
            if said := _tail(log, lines):
                found[log] = job.name, said
    return found


def show(found: dict[Path, tuple[str, list[str]]]) -> str:
    """Return the tails as text, each under its job's name and its file."""
    parts = (f"--- {job}: the end of {log}\n" + "\n".join(lines) for log, (job, lines) in found.items())
    return "\n".join(parts)


def _tail(log: Path, lines: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _BYTES))
        return file.read().decode("utf-8", "replace").rstrip().splitlines()[-lines:]
