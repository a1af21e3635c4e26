"""`python -m launch.list`: the sweeps of a folder of runs."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from launch import cli
from launch.states import survey
from launch.sweep import load, names


def main(arguments: list[str]) -> int:
    """Run the command."""
    return cli.main(_list, cli.parser("list", "List the sweeps, the newest first.").parse_args(arguments))


def _list(arguments: argparse.Namespace, console: Console) -> int:
    rows = [_row(arguments, name) for name in names(arguments.runs)]
    if arguments.json:
        cli.print_json(rows)
        return 0
    if not rows:
        console.print(f"no sweep was submitted in {arguments.runs}", soft_wrap=True)
        return 0
    table = Table("sweep", "submitted", "launch", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("runs done", "stages done"):
        table.add_column(title, justify="right")
    table.add_column("state")
    for row in rows:
        runs, stages = f"{row['runs_done']}/{row['runs']}", f"{row['stages_done']}/{row['stages']}"
        table.add_row(row["name"], row["created"], row["launch"], runs, stages, row["state"])
    console.print(table)
    return 0


def _row(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    folder = arguments.runs / name
    sweep = load(folder)
    status = survey(folder, sweep)
    return {
        "name": name,
        "created": sweep.created,
        "launch": sweep.launch.name,
        "runs": len(status.runs),
        "runs_done": sum(run.state == "done" for run in status.runs),
        "stages": sum(job.total for job in status.jobs),
        "stages_done": sum(job.done for job in status.jobs),
        "state": "done" if status.finished else "active" if status.active else "stopped",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
