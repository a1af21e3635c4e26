"""What the commands have in common: arguments, one line for an error, JSON for machines."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from launch.sweep import Sweep, find, load, names_or_refuse
from mt.errors import LaunchError, describe, nearest
from mt.running.exit_codes import Parser, exit_status_of, say
from mt.runtime.terminal import terminal

_FILE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""


def parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every command."""
    made = Parser(f"python -m launch.{command}", description=description, allow_abbrev=False)
    made.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of runs (default: runs)")
    made.add_argument("--json", action="store_true", help="print plain data for machines, errors too")
    return made


def sweep_folder(runs: Path, name: str | None) -> Path:
    """Return the folder of a sweep, by default the newest; raises LaunchError where there is none."""
    if name is not None:
        return find(runs, name)
    return runs / names_or_refuse(runs)[0]


def locate(runs: Path, wanted: str) -> tuple[Path, str | None]:
    """Return the sweep's folder and the run or job in it that "SWEEP", "SWEEP/NAME" or "NAME" means.

    A name alone is looked for in the newest sweep that has it, then those of its words that no other name of a sweep
    has; sweeps that cannot be read are passed over. Raises LaunchError with the nearest name.
    """
    sweep_name, slash, name = wanted.partition("/")
    known = names_or_refuse(runs)
    if sweep_name and slash:
        folder = find(runs, sweep_name)
        members = _members(load(folder))
        if found := name if name in members else _meant(name, members, sweep_name):
            return folder, found
        problem = f"not in sweep {sweep_name}"
        raise LaunchError(describe("name", name, problem, allowed=", ".join(members[:10])) + nearest(name, members))
    if wanted in known:
        return runs / wanted, None
    by_sweep = {one: _members(sweep) for one in known if (sweep := _readable(runs / one))}
    for one, members in by_sweep.items():
        if wanted in members:
            return runs / one, wanted
    for one, members in by_sweep.items():
        if found := _meant(wanted, members, one):
            return runs / one, found
    problem = f"neither a sweep in {runs} nor one of its runs or jobs"
    allowed = ", ".join(known[:10])
    valid = [*known, *(name for members in by_sweep.values() for name in members)]
    raise LaunchError(describe("name", wanted, problem, allowed=allowed) + nearest(wanted, valid))


def _meant(words: str, members: list[str], sweep: str) -> str | None:
    """Return the member that has these words in its name (a run's jobs go with it); raises LaunchError for several."""
    having = sorted((member for member in members if f"-{words}-" in f"-{member}-"), key=len)
    if not all(member.startswith(having[0]) for member in having):
        problem = f"several names of sweep {sweep} have these words"
        raise LaunchError(describe("name", words, problem, allowed=", ".join(having[:10])))
    return having[0] if having else None


def _members(sweep: Sweep) -> list[str]:
    return list(dict.fromkeys([*(run.name for run in sweep.runs), *(job.name for job in sweep.jobs)]))


def _readable(folder: Path) -> Sweep | None:
    with contextlib.suppress(LaunchError):
        return load(folder)
    return None


def main(
    command: Callable[[argparse.Namespace, Console], int], parser: argparse.ArgumentParser, given: list[str]
) -> int:
    """Run a command; an error is one line and status 2, with --json an object on the standard output as well."""
    console = terminal(_FILE_WIDTH)
    return exit_status_of(
        lambda: command(parser.parse_args(given), console), _say_as_data if "--json" in given else say
    )


def _say_as_data(text: str) -> None:
    print(json.dumps({"error": text}), flush=True)
    say(text)


def print_json(value: object) -> None:
    """Print plain data."""
    json.dump(value, sys.stdout, indent=1)
    print()
