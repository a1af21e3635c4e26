"""`python -m launch.watch [SWEEP]`: keep a sweep's status on the screen until nothing of it runs any more."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict

from rich.console import Console

from launch import cli
from launch.survey import survey
from launch.sweep import load
from launch.view import changes, live, render, summary

_POLL_S = 2.0


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser("watch", "Keep a sweep's status on the screen until nothing of it runs or waits any more.")
    parser.add_argument("sweep", nargs="?", help="the sweep (default: the newest)")
    return cli.main(_watch, parser, arguments)


def _watch(arguments: argparse.Namespace, console: Console) -> int:
    """Return 0 if everything is done at the end, 1 if not; with --json, print a line per job and change."""
    folder = cli.sweep_folder(arguments.runs, arguments.sweep)
    as_lines = changes(asdict, lambda job: print(json.dumps(asdict(job)), flush=True))
    with nullcontext(as_lines) if arguments.json else live(console) as show:
        show(status := survey(folder, load(folder)))
        while status.may_go_on:
            time.sleep(_POLL_S)
            show(status := survey(folder, load(folder)))
    if not arguments.json:
        console.print(summary(status) if console.is_terminal else render(status), soft_wrap=console.is_terminal)
    return 0 if status.finished else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
