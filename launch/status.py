"""`python -m launch.status [SWEEP]`: how a sweep stands, from any shell, with and without SLURM accounting."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from launch import cli
from launch.states import survey
from launch.sweep import load
from launch.view import as_data, render


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser("status", "Show how a sweep stands: its jobs, its runs, and why they wait or failed.")
    parser.add_argument("sweep", nargs="?", help="the sweep (default: the newest)")
    return cli.main(_show, parser, arguments)


def _show(arguments: argparse.Namespace, console: Console) -> int:
    folder = cli.sweep_folder(arguments.runs, arguments.sweep)
    status = survey(folder, load(folder))
    if arguments.json:
        cli.print_json(as_data(status))
    else:
        console.print(render(status))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
