"""`python -m launch.status [SWEEP]`: how a sweep stands, from any shell, with and without SLURM accounting."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from launch import cli
from launch.logs import show_tails, tails
from launch.survey import survey
from launch.sweep import load
from launch.view import as_data, render
from mt.running.comparison_table import print_findings

_LINES = 5
"""Last lines of each worker's log of a failed job; launch.logs prints more."""


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser("status", "Show how a sweep stands: its jobs, its runs, and why they wait or failed.")
    parser.add_argument("sweep", nargs="?", help="the sweep (default: the newest)")
    return cli.main(_show, parser, arguments)


def _show(arguments: argparse.Namespace, console: Console) -> int:
    folder = cli.sweep_folder(arguments.runs, arguments.sweep)
    sweep = load(folder)
    status = survey(folder, sweep)
    last = tails(folder, sweep, status.jobs, _LINES)
    if arguments.json:
        words = [{"job": job, "file": str(file), "lines": lines} for file, (job, lines) in last.items()]
        cli.print_json({**as_data(status), "last_words": words})
    else:
        console.print(render(status))
        if status.finished:
            print_findings(console, list(sweep.folder.values()))
        console.print(show_tails(last), markup=False, highlight=False, soft_wrap=True, end="\n" if last else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
