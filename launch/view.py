"""Status on the screen: tables for people, plain data for machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from launch.states import JobStatus, RunStatus, SweepStatus, survey
from launch.sweep import load

_COLOURS = {
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "waiting": "yellow",
    "held": "magenta",
    "failed": "red",
    "blocked": "red",
    "cancelled": "red",
    "lost": "red",
    "new": "dim",
    "unknown": "magenta",
}
_REFRESH_S = 1.0


def print_status(status: SweepStatus, console: Console) -> None:
    """Print a sweep's jobs and runs."""
    console.print(render(status))


def render(status: SweepStatus) -> Group:
    """Return a sweep's jobs and runs as tables, with one line that sums them up."""
    return Group(_jobs_table(status.jobs), _runs_table(status.runs), Text(summary(status)))


def summary(status: SweepStatus) -> str:
    """Return one line: how many runs and jobs are in which state."""
    jobs = ", ".join(_counts(job.state for job in status.jobs))
    runs = ", ".join(_counts(run.state for run in status.runs))
    note = f"\n{status.note}" if status.note else ""
    return f"{status.name}: runs {runs}; jobs {jobs}{note}"


def as_data(status: SweepStatus) -> dict[str, Any]:
    """Return a status as plain data."""
    return {**asdict(status), "active": status.active, "finished": status.finished}


@contextmanager
def live(folder: Path, console: Console) -> Iterator[Callable[[], None]]:
    """Keep a sweep's status on the screen; without a terminal, print a line whenever a job changes its state."""
    if not console.is_terminal:
        yield _lines(folder, console)
        return
    with Live(render(survey(folder, load(folder))), console=console, auto_refresh=False) as shown:
        yield _every(_REFRESH_S, lambda: shown.update(render(survey(folder, load(folder))), refresh=True))


def duration(seconds: float | None) -> str:
    """Return seconds as "1:02:03" or "2:03"."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _jobs_table(jobs: list[JobStatus]) -> Table:
    table = Table(title="jobs", title_justify="left", header_style="bold")
    table.add_column("job", overflow="fold")
    table.add_column("state", no_wrap=True)
    for title in ("runs", "stages", "try"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("now", "where", "time", "why"):
        table.add_column(title, overflow="fold")
    for job in jobs:
        runs, stages, attempt = str(len(job.runs)), f"{job.done}/{job.total}", str(job.attempt or "")
        where = "@".join(word for word in (job.id, job.node) if word)
        table.add_row(job.name, _state(job.state), runs, stages, attempt, _now(job), where, _time(job), Text(job.why))
    return table


def _time(job: JobStatus) -> str:
    left = f" + ~{duration(job.left_s)}" if job.left_s is not None else ""
    return f"{duration(job.elapsed_s)}{left}"


def _now(job: JobStatus) -> Text:
    share = f" {job.fraction:.0%}" if job.fraction is not None else ""
    return Text(f"{job.stage}{share}")


def _runs_table(runs: list[RunStatus]) -> Table:
    table = Table(title="runs", title_justify="left", header_style="bold")
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("stages", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for run in runs:
        table.add_row(run.name, _state(run.state), f"{run.done}/{run.total}", Text(run.why))
    return table


def _state(state: str) -> Text:
    return Text(state, style=_COLOURS[state])


def _counts(states: Iterator[str]) -> list[str]:
    found = list(states)
    return [f"{found.count(state)} {state}" for state in _COLOURS if state in found]


def _lines(folder: Path, console: Console) -> Callable[[], None]:
    last: dict[str, tuple[str, str]] = {}

    def tell() -> None:
        for job in survey(folder, load(folder)).jobs:
            if last.get(job.name) != (job.state, job.why):
                last[job.name] = (job.state, job.why)
                because = f" ({job.why})" if job.why else ""
                console.print(f"{job.name} {job.state}{because}", markup=False, highlight=False, soft_wrap=True)

    return _every(_REFRESH_S, tell)


def _every(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
    last = [-seconds]

    def act() -> None:
        if time.monotonic() - last[0] >= seconds:
            action()
            last[0] = time.monotonic()

    return act
