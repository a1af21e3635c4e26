"""`python -m launch.list`: the sweeps of a folder of runs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from launch import cli
from launch.states import State
from launch.survey import survey
from launch.sweep import load, names
from mt.errors import LaunchError
from mt.runtime.terminal import local_time, print_line


@dataclass(frozen=True)
class _ListedSweep:
    """A sweep in the list; one that cannot be read has a name and a reason."""

    name: str
    state: str
    why: str
    created: str | None = None
    launch: str | None = None
    runs: int | None = None
    runs_done: int | None = None
    stages: int | None = None
    stages_done: int | None = None


def main(arguments: list[str]) -> int:
    """Run the command."""
    return cli.main(_list, cli.parser("list", "List the sweeps, the newest first."), arguments)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    rows = [_row(arguments.runs / name) for name in names(arguments.runs)]
    if arguments.json:
        cli.print_json([asdict(row) for row in rows])
        return 0
    if not rows:
        console.print(f"no sweep was submitted in {arguments.runs}", soft_wrap=True)
        return 0
    table = Table("sweep", "submitted", "launch", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("runs done", "stages done"):
        table.add_column(title, justify="right")
    table.add_column("state")
    for row in rows:
        parts = (f"{row.runs_done}/{row.runs}", f"{row.stages_done}/{row.stages}") if row.runs else ("", "")
        table.add_row(row.name, local_time(row.created), row.launch, *parts, row.state)
    console.print(table)
    for why in filter(None, (row.why for row in rows)):
        print_line(console, why)
    return 0


def _row(folder: Path) -> _ListedSweep:
    try:
        sweep = load(folder)
    except LaunchError as error:  # one damaged sweep hides no other
        return _ListedSweep(folder.name, "unreadable", str(error))
    status = survey(folder, sweep)
    return _ListedSweep(
        name=folder.name,
        state=status.state,
        why=status.note,
        created=sweep.created,
        launch=sweep.launch.name,
        runs=len(status.runs),
        runs_done=sum(run.state == State.DONE for run in status.runs),
        stages=sum(job.total for job in status.jobs),
        stages_done=sum(job.done for job in status.jobs),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
