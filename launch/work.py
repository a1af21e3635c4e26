"""`python -m launch.work SWEEP_FOLDER JOB`: compute one job's stages and write the records of its runs.

Started by `launch.job` on the node. It rebuilds the plan from the configuration written down at submission, checks
that earlier attempts got somewhere, that it sees the same store and that its inputs are there, and leaves the rest
to the workflow.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from launch import attempts, progress
from launch.create import check_store
from launch.job import GRACE_S, STOPPED
from launch.states import State
from launch.sweep import JobEntry, Sweep, load, read_configs
from mt.config.launch import SlurmConfig
from mt.errors import LaunchError, MutualTaughtError, first_line
from mt.running.execution import Logger, Observers, logged_by, quiet_libraries
from mt.runtime.child import end_with_parent, kill_descendants
from mt.runtime.jsonl import problem
from mt.runtime.redact import redact
from mt.workflow.execute import execute, require
from mt.workflow.plan import Plan, plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import Observer


class Planned(Protocol):
    """A run rebuilt from its configuration."""

    @property
    def plan(self) -> Plan:
        """The run's stages."""
        ...

    def tracked(self, sweep: Sweep, run: str) -> AbstractContextManager[list[Observer]]:
        """Track the run inside the block; yields the observers of its stages."""
        ...

    def record(self, folder: Path, sweep: Sweep, run: str, state: Any, error: Exception | None = None) -> None:
        """Write the run's record from the store."""
        ...


class StopRequested(BaseException):
    """The process was asked to stop."""


def main(arguments: list[str]) -> int:
    """Run a job's work and return its exit code."""
    folder, name = Path(arguments[0]), arguments[1]
    signal.signal(signal.SIGTERM, _stop)
    end_with_parent(GRACE_S)
    quiet_libraries()
    reporter = progress.Reporter(folder, name)
    try:
        with logged_by(logging.StreamHandler(sys.stdout)):
            run(folder, name, reporter)
    except StopRequested:
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        file, reason = attempts.file_of(folder, name), redact(first_line(error))
        if not isinstance(error, MutualTaughtError):
            reason = f"{type(error).__name__}: {reason}"
        attempts.end(file, attempts.read(file)[-1], State.FAILED, reason)
        return 1
    finally:
        reporter.close()
        kill_descendants()
    return 0


def run(folder: Path, name: str, reporter: progress.Reporter) -> None:
    """Compute the job's stages that are missing, then write the records of the runs that it completes.

    Where that fails, the records of all runs that needed the job say so, and why. A run is tracked live by the job
    that completes it alone; runs that a job completes together are tracked once their records are there.
    """
    sweep = load(folder)
    job = sweep.job[name]
    plans = {run: plan_run(sweep, folder, run) for run in job.records or job.runs[:1]}
    if len(job.runs) == 1 and not sweep.is_recorded(job.runs[0]):
        plan_run(sweep, folder, job.runs[0]).record(folder, sweep, job.runs[0], "running")
    own = job.runs[0] if job.records == job.runs and len(job.runs) == 1 else None
    with plans[own].tracked(sweep, own) if own else nullcontext([]) as watching:
        try:
            check_progress(folder, sweep, name)
            compute(sweep, job, next(iter(plans.values())).plan, [reporter, *watching])
        except Exception as error:
            for run in job.runs:
                plan_run(sweep, folder, run).record(folder, sweep, run, "failed", error)
            raise
        for run in job.records:
            plans[run].record(folder, sweep, run, "finished")
    for run in job.records if own is None else ():
        with plans[run].tracked(sweep, run):
            pass  # all stages are published: entering and leaving the block reports them


def compute(sweep: Sweep, job: JobEntry, whole: Plan, watching: Sequence[Observer]) -> None:
    """Compute the job's stages that are missing, after checking that everything it needs is there."""
    store = Store(Path(sweep.store))
    check_store(store.root, sweep.store_id)
    own = plan(select(sweep, job, whole), whole.positions)
    due = {stage.key: stage for stage in own.missing(store) if stage.key in job.stages}
    require([upstream for stage in due.values() for upstream in stage.inputs() if upstream.key not in due], store)
    reach(sweep, job, whole, store)
    for stage in own.missing(store):  # before hours are spent on those that come first
        stage.check()
    execute(own, store, Observers([*watching, Logger(whole.positions)]), str(sweep.place.resolve()))


def reach(sweep: Sweep, job: JobEntry, whole: Plan, store: Store) -> None:
    """Raise one clear error where this node lacks a file or an endpoint that the run needs.

    A job that waits for no other looks for what later ones need, too, before hours are spent on what comes first; an
    endpoint only where the judging jobs run in its own partition.
    """
    launch = sweep.launch
    elsewhere = isinstance(launch, SlurmConfig) and launch.cpu.partition not in (None, launch.partition)
    own = {key for stage in select(sweep, job, whole) for key in (stage.key, *(one.key for one in stage.inputs()))}
    for stage in whole.reaching_out(store):
        foreign = stage.NEEDS == "network" and job.resource == "gpu" and elsewhere
        if stage.key in own or (not job.after and not foreign):
            stage.reach()


def check_progress(folder: Path, sweep: Sweep, name: str) -> None:
    """Raise LaunchError when the last attempts of this job got nowhere."""
    *past, present = attempts.read(attempts.file_of(folder, name))
    count = attempts.without_progress(past, present.id, present.mark)
    if count < sweep.launch.max_attempts:
        return
    absent = sweep.absent(name)
    what = sweep.stage[absent[0]].address if absent else "its record"
    last = past[-1]
    raise LaunchError(
        f"{what}: no progress in {count} attempts of job {name} (the last one was {last.state}: {last.reason}). "
        f"Fix the cause, then: python -m launch.resume {sweep.name}"
    )


def plan_run(sweep: Sweep, folder: Path, run: str) -> Planned:
    """Rebuild a run from the configuration that was written down when it was submitted."""
    values = read_configs(folder)
    if run not in values:
        raise LaunchError(f"{folder}: the configuration of run {run} is gone. {_submit_again(sweep)}")
    try:
        return planner(sweep.planner)(values[run])
    except ValidationError as error:
        if error.errors()[0]["type"] == "choice":  # a class of the user's own: changed, gone, or no longer fitting
            again = "Undo the change, or submit again under another name: sweep=NAME"
            raise LaunchError(f"run {run}: {problem(error)}. {again}") from None
        text = f"run {run}: the code now expects other settings than at submission ({problem(error)})"
        raise LaunchError(f"{text}. {_submit_again(sweep)}") from None


def planner(name: str) -> Callable[[dict[str, Any]], Planned]:
    """Return the function that a sweep's runs are planned with."""
    module, _, function = name.partition(":")
    found: Callable[[dict[str, Any]], Planned] = getattr(importlib.import_module(module), function)
    return found


def select(sweep: Sweep, job: JobEntry, whole: Plan) -> list[Stage]:
    """Return the job's stages; raises LaunchError where the code does not plan them any more."""
    by_key = {stage.key: stage for stage in whole.order}
    for key in job.stages:
        if key not in by_key:
            raise LaunchError(
                f"{sweep.stage[key].address}: the code now plans other stages than at submission "
                f"(a stage's VERSION or inputs changed). {_submit_again(sweep)}"
            )
    return [by_key[key] for key in job.stages]


def _submit_again(sweep: Sweep) -> str:
    commit = sweep.git.get("commit")
    back = f"Check out commit {commit[:12]} of the submission, or submit" if commit else "Submit"
    return f"{back} again under another name: sweep=NAME"


def _stop(*signal_and_frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
