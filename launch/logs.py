"""`python -m launch.logs RUN [-f]`: what the jobs of a run print, all attempts in order."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from launch import cli, progress
from launch.states import MAY_RUN, State
from launch.survey import JobStatus, survey
from launch.sweep import Sweep, load, log_file
from mt.workflow.store import Store

_POLL_S = 0.5
_LINES = 50
"""Last lines of each worker's log of the stage in which a job failed."""
_TAIL_BYTES = 64 * 1024


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser("logs", "Print the output of the jobs that a run needs (or of one job, or of all).")
    parser.add_argument("name", help="RUN or JOB (of the newest sweep that has it), SWEEP/RUN, or SWEEP")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until those jobs have ended")
    return cli.main(_logs, parser, arguments)


def _logs(arguments: argparse.Namespace, console: Console) -> int:
    folder, name = cli.locate(arguments.runs, arguments.name)
    sweep = load(folder)
    jobs = [job.name for job in sweep.jobs if name is None or name in (job.name, *job.runs)]
    if arguments.json:
        files = _files(folder, sweep, jobs).items()
        cli.print_json([{"job": job, "file": str(file), "exists": file.exists()} for file, job in files])
        return 0
    shown: dict[Path, int] = {}
    while True:
        status = [job for job in survey(folder, sweep).jobs if job.name in jobs]
        _print_new(_files(folder, sweep, jobs), shown)  # after the question: a job that has ended has printed all
        if not arguments.follow or not any(job.state in MAY_RUN for job in status):
            break
        time.sleep(_POLL_S)
        sweep = load(folder)
    if last := tails(folder, sweep, status, _LINES):
        print(show_tails(last))
    return 0


def _files(folder: Path, sweep: Sweep, jobs: list[str]) -> dict[Path, str]:
    """Return the outputs of all submissions of the jobs, each with its job's name."""
    return {log_file(folder, one.id): name for name in jobs for one in sweep.job[name].submissions}


def _print_new(files: dict[Path, str], shown: dict[Path, int]) -> None:
    """Print what was appended since the last time, each piece under its job's name."""
    for file, job in files.items():
        if not file.exists():
            continue
        with file.open("rb") as content:
            content.seek(shown.get(file, 0))
            new = content.read()
        if new:
            shown[file] = shown.get(file, 0) + len(new)
            text = new.decode(errors="replace")
            print(f"--- {job} ({file.name})\n{text}", end="" if text.endswith("\n") else "\n", flush=True)


def tails(folder: Path, sweep: Sweep, jobs: Iterable[JobStatus], lines: int) -> dict[Path, tuple[str, list[str]]]:
    """Return the job and the last lines of every worker's log of the stages in which jobs failed, by file."""
    found: dict[Path, tuple[str, list[str]]] = {}
    for job in jobs:
        stage = progress.read(progress.file_of(folder, job.name)).stage if job.state == State.FAILED else None
        for log in sorted(Store(Path(sweep.store)).scratch(stage).glob("*.log")) if stage else ():
            if said := _tail(log, lines):
                found[log] = job.name, said
    return found


def show_tails(found: dict[Path, tuple[str, list[str]]]) -> str:
    """Return the tails as text, each under its job's name and its file."""
    parts = (f"--- {job}: the end of {log}\n" + "\n".join(lines) for log, (job, lines) in found.items())
    return "\n".join(parts)


def _tail(log: Path, lines: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").rstrip().splitlines()[-lines:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
