"""Status on the screen: tables for people, plain data for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import takewhile
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from launch.states import State
from launch.survey import JobStatus, SweepStatus
from mt.runtime.terminal import print_line

_NUMBERS = {"stages", "try", "time", "left"}
_WORDS = {"job", "run", "what"}


def render(status: SweepStatus) -> Group:
    """Return a sweep's jobs and runs as tables, with one line that sums them up."""
    short = _shortener([run.name for run in status.runs])
    jobs = _table("jobs", ("job", "state", "stages", "try", "where", "time", "left", "what"))
    for job in status.jobs:
        where = "@".join(word for word in (job.id, job.node) if word)
        left = f"~{_clock(job.left_s)}" if job.left_s is not None else ""
        counts = f"{job.done}/{job.total}", str(job.attempt or ""), where, _clock(job.elapsed_s), left
        share = f" {job.fraction:.0%}" if job.fraction is not None else ""
        what = "; ".join(filter(None, (f"{job.stage}{share}", short(job.why))))
        jobs.add_row(short(job.name), _state(job.state), *counts, Text(what))
    runs = _table("runs", ("run", "state", "stages", "what"))
    for run in status.runs:
        runs.add_row(run.name, _state(run.state), f"{run.done}/{run.total}", Text(short(run.why)))
    return Group(jobs, runs, Text(summary(status)))


def summary(status: SweepStatus) -> str:
    """Return one line: how many runs and jobs are in which state."""
    note = f"\n{status.note}" if status.note else ""
    runs, jobs = _counts(run.state for run in status.runs), _counts(job.state for job in status.jobs)
    return f"{status.name}: runs {runs}; jobs {jobs}{note}"


def as_data(status: SweepStatus) -> dict[str, Any]:
    """Return a status as plain data."""
    return {**asdict(status), "active": status.active, "finished": status.finished}


Show = Callable[[SweepStatus], None]


@contextmanager
def live(console: Console) -> Iterator[Show]:
    """Yield a function that shows a status; without a terminal it prints a line for every change."""
    if not console.is_terminal:
        yield changes(lambda job: (job.state, job.why), lambda job: _report(job, console))
        return
    with Live(console=console, auto_refresh=False) as shown:
        yield lambda status: shown.update(render(status), refresh=True)


def changes(aspect: Callable[[JobStatus], object], report: Callable[[JobStatus], None]) -> Show:
    """Return a function that reports every job whose aspect changed since the last status."""
    last: dict[str, object] = {}

    def show(status: SweepStatus) -> None:
        for job in status.jobs:
            if last.get(job.name) != aspect(job):
                last[job.name] = aspect(job)
                report(job)

    return show


def _clock(seconds: float | None) -> str:
    """Return seconds as a clock shows them: "1:02:03" or "2:03"."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in _NUMBERS else "left"
        table.add_column(column, justify=justify, no_wrap=column not in _WORDS, overflow="fold")
    return table


def _shortener(names: list[str]) -> Callable[[str], str]:
    """Return a function that drops the words that all runs' names begin with; commands accept such short names, too."""
    words = zip(*(name.split("-") for name in names), strict=False) if len(names) > 1 else ()
    start = "".join(f"{word}-" for word, *others in takewhile(lambda same: len(set(same)) == 1, words))
    return lambda text: text.replace(start, "") if start else text


def _state(state: State) -> Text:
    return Text(state, style=state.colour)


def _counts(states: Iterable[State]) -> str:
    found = Counter(states)
    return ", ".join(f"{found[state]} {state}" for state in State if found[state])


def _report(job: JobStatus, console: Console) -> None:
    because = f" ({job.why})" if job.why else ""
    print_line(console, f"{job.name} {job.state}{because}")
