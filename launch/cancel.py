"""`python -m launch.cancel SWEEP|RUN`: stop a sweep, or what only one of its runs needs."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from launch import cli, local, slurm
from launch.job_partition import ancestors
from launch.states import ACTIVE
from launch.survey import survey
from launch.sweep import Sweep, driver, driving, load, write_cancelled
from launch.view import as_data, summary
from mt.errors import LaunchError, describe
from mt.runtime.text import counted


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = cli.parser(
        "cancel",
        "Stop a sweep's jobs, or those that only one of its runs needs. What is published stays; "
        "python -m launch.resume goes on from it.",
    )
    parser.add_argument("name", help="SWEEP, SWEEP/RUN, or RUN (of the newest sweep that has it)")
    return cli.main(_cancel, parser, arguments)


def _cancel(arguments: argparse.Namespace, console: Console) -> int:
    folder, name = cli.locate(arguments.runs.absolute(), arguments.name)
    stopped = cancel(folder, name)
    status = survey(folder, load(folder))
    if arguments.json:
        cli.print_json({"cancelled": stopped, **as_data(status)})
    else:
        console.print(
            f"{counted(len(stopped), 'job')} cancelled: {', '.join(stopped)}" if stopped else "nothing to cancel"
        )
        console.print(summary(status), soft_wrap=True)
    return 0


def cancel(folder: Path, name: str | None) -> list[str]:
    """Cancel the active jobs of a sweep, or those that serve one run alone, and return their names."""
    return _cancel_slurm(folder, name) if load(folder).launch.queued else _cancel_local(folder, name)


def _cancel_slurm(folder: Path, name: str | None) -> list[str]:
    with driving(folder):
        sweep = load(folder)
        active = _active(folder, sweep, name)
        write_cancelled(folder, active)
        ids = {job_id for job_id in active.values() if job_id}
        slurm.cancel(sorted(ids if name else ids.union(slurm.tagged(sweep.tag))))
    return sorted(active)


def _cancel_local(folder: Path, name: str | None) -> list[str]:
    """Stop processes of this machine, where the command that drives the sweep may be still at work."""
    sweep = load(folder)
    active = _active(folder, sweep, name)
    _refuse_elsewhere(folder, [sweep.job[one].submissions[-1].host for one, job_id in active.items() if job_id])
    write_cancelled(folder, active)
    if name is None:
        _stop_driver(folder)
    local.stop(job_id for job_id in active.values() if job_id)
    return sorted(active)


def _active(folder: Path, sweep: Sweep, name: str | None) -> dict[str, str]:
    names = affected(sweep, name)
    status = survey(folder, sweep, strict=True)
    return {job.name: job.id for job in status.jobs if job.name in names and job.state in ACTIVE}


def _refuse_elsewhere(folder: Path, hosts: Sequence[str]) -> None:
    """Refuse to stop processes by numbers that belong to others here."""
    at_work = driver(folder)
    for host in [*([at_work.host] if at_work else []), *hosts]:
        if host != socket.gethostname():
            problem = f"its processes run on {host}, and this is {socket.gethostname()}"
            raise LaunchError(describe("sweep", folder.name, problem, fix=f"Give the same command on {host}"))


def affected(sweep: Sweep, name: str | None) -> set[str]:
    """Return the jobs that serve a run alone, one job with all that wait for it, or (for None) all."""
    if name is None:
        return set(sweep.job)
    if name in sweep.folder:
        return {job.name for job in sweep.jobs if job.runs == (name,)}
    before = ancestors(sweep.jobs)
    return {job for job, earlier in before.items() if job == name or name in earlier}


def _stop_driver(folder: Path) -> None:
    """End the command that starts a local sweep's processes, and wait until it has stopped them."""
    if (at_work := driver(folder)) is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(at_work.pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while driver(folder) is not None and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
