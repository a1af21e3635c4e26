"""`python -m launch.watch [SWEEP]`: keep a sweep's status on the screen until nothing of it runs any more."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from rich.console import Console

from launch import cli
from launch.states import SweepStatus, survey
from launch.sweep import load
from launch.view import live, print_status, summary

_POLL_S = 2.0


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser("watch", "Keep a sweep's status on the screen until nothing of it runs or waits any more.")
    parser.add_argument("sweep", nargs="?", help="the sweep (default: the newest)")
    return cli.main(_watch, parser.parse_args(arguments))


def _watch(arguments: argparse.Namespace, console: Console) -> int:
    """Return 0 if everything is done at the end, 1 if not; with --json, print a line per job and change."""
    folder = cli.sweep_folder(arguments.runs, arguments.sweep)
    if arguments.json:
        last: dict[str, str] = {}
        while (status := survey(folder, load(folder))).active:
            _print_changes(status, last)
            time.sleep(_POLL_S)
        _print_changes(status, last)
        return 0 if status.finished else 1
    with live(folder, console) as tick:
        while survey(folder, load(folder)).active:
            tick()
            time.sleep(_POLL_S)
    ended = survey(folder, load(folder))
    if console.is_terminal:
        console.print(summary(ended), soft_wrap=True)
    else:
        print_status(ended, console)
    return 0 if ended.finished else 1


def _print_changes(status: SweepStatus, last: dict[str, str]) -> None:
    for job in status.jobs:
        line = json.dumps(asdict(job))
        if last.get(job.name) != line:
            last[job.name] = line
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
