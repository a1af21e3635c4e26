"""Submit a sweep: written down first, submitted on hold, released when every job's id is written down as well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from launch import local, slurm
from launch.batches import JobBatch, batches
from launch.create import NewRun, create, refuse_reuse
from launch.job_partition import Job
from launch.nodes import check_nodes
from launch.runs import PLANNER
from launch.states import ACTIVE, State
from launch.survey import SweepStatus, survey
from launch.sweep import FILE, JobEntry, Submission, Sweep, driving, load, logs, write_submitted
from launch.view import live, render
from launch.work import plan_run
from mt.config.compose import Composed
from mt.config.launch import DetachedConfig, SlurmConfig
from mt.costing.estimate import costs
from mt.errors import ConfigError, LaunchError, MutualTaughtError, NotHereError, describe
from mt.methods.compile import compile_run
from mt.running.checks import check, check_folders
from mt.running.comparison_table import print_findings
from mt.running.naming import run_folder, run_name
from mt.running.variants import duplicate_runs
from mt.runtime.interruption import Interrupted
from mt.runtime.terminal import print_line
from mt.runtime.text import counted
from mt.workflow.store import Store


def submit(runs: Sequence[Composed], sweep: str | None, console: Console) -> int:
    """Submit the runs of a command line (a single run is a sweep of one); returns the exit status."""
    first = runs[0].config
    launch = first.launch
    assert isinstance(launch, DetachedConfig)
    _refuse_differences(runs)
    if launch.queued:
        slurm.check_commands()
    folder = (Path(first.runs) / (sweep or run_name(first))).absolute()
    _refuse_tags(folder, "sweep" if sweep else "name", queued=launch.queued)
    refuse_reuse(folder)
    with driving(folder):
        check_folders([(run.config, run_folder(run.config, sweep)) for run in runs])
        absent: dict[str, None] = {}
        new = [_new(run, sweep, absent) for run in runs]
        create(folder, new, launch, Store(Path(first.store)), PLANNER)
        if launch.queued:
            _state_needs(first.store, new, console)
        pairs = [(run.config, one.plan) for run, one in zip(runs, new, strict=True)]
        for line in [*duplicate_runs(pairs), *absent]:
            print_line(console, line, "yellow")
        try:
            return dispatch(folder, console)
        except slurm.SubmissionRefused:  # nothing of it was released: the same command can be given again
            (folder / FILE).unlink()
            raise


def dispatch(folder: Path, console: Console) -> int:
    """Submit the jobs of a sweep that are neither done nor under way; returns the exit status."""
    try:
        return _dispatch(folder, load(folder), console)
    except KeyboardInterrupt:
        fix = f"python -m launch.resume {folder.name} goes on where it was"
        raise Interrupted(f"interrupted; nothing is lost. {fix}") from None


def _dispatch(folder: Path, sweep: Sweep, console: Console) -> int:
    status = survey(folder, sweep, strict=True)
    jobs, width = due(sweep, status)
    for run in dict.fromkeys(run for job in jobs for run in job.runs):
        if sweep.recorded_state(run) == "failed":  # it is tried again, and its record says so
            plan_run(sweep, folder, run).record(folder, sweep, run, "planned")
    if sweep.launch.queued:
        _submit_to_slurm(folder, sweep, status, jobs, width)
        console.print(
            f"sweep    {sweep.name}: {counted(len(sweep.runs), 'run')}, "
            f"{counted(len(sweep.stages), 'stage')} to compute, {counted(len(jobs), 'job')} submitted to SLURM\n"
            f"folder   {folder}\n"
            f"look     python -m launch.status {sweep.name}",
            soft_wrap=True,
            highlight=False,
        )
        return 0
    with live(console) as show:
        local.run(folder, [job.name for job in jobs], width, lambda: show(survey(folder, load(folder))))
    ended = survey(folder, load(folder))
    console.print(render(ended))
    if ended.finished:
        try:
            print_findings(console, list(sweep.folder.values()))
        except MutualTaughtError as error:  # the sweep is done, whether its records can be compared or not
            print_line(console, f"not compared: {error}")
    return 0 if ended.finished else 1


def due(sweep: Sweep, status: SweepStatus) -> tuple[list[JobEntry], int]:
    """Return the jobs that are neither done nor under way, waiting for open ones only, and how many may run."""
    active = {job.name for job in status.jobs if job.state in ACTIVE}
    opened = {job.name for job in status.jobs if job.state != State.DONE}
    jobs = [
        replace(job, after=tuple(name for name in job.after if name in opened))
        for job in sweep.jobs
        if job.name in opened - active
    ]
    return jobs, max(1, sweep.launch.max_running - len(active))


def _refuse_tags(folder: Path, named_by: str, *, queued: bool) -> None:
    """Refuse a folder in whose name parts would be replaced by a job's id, name or node: its logs would be lost.

    SLURM replaces whatever follows a %, and srun does not read every %% as a plain one; submitit replaces ids.
    """
    tags = ("%",) if queued else ("%j", "%t", "%A", "%a")
    if any(tag in str(folder) for tag in tags):
        own = any(tag in folder.name for tag in tags)
        field, value = (named_by, folder.name) if own else ("runs", folder.parent)
        problem = f"its jobs cannot write their logs there, because {', '.join(tags)} in a name is replaced"
        raise ConfigError(describe(field, value, problem, fix="Choose a name without it"))


def _refuse_differences(runs: Sequence[Composed]) -> None:
    """Refuse runs of one sweep that are launched in different ways, or into different stores."""
    first = runs[0].config
    for field in ("launch", "store", "runs"):
        for run in runs:
            if getattr(run.config, field) != getattr(first, field):
                fix = f"Launch the runs with another {field} by a command of their own"
                raise ConfigError(describe(field, "…", "it differs between the runs of a sweep", fix=fix))


def _submit_to_slurm(folder: Path, sweep: Sweep, status: SweepStatus, jobs: Sequence[Job], width: int) -> None:
    """Submit on hold, write the ids down, release: an interrupted submission leaves nothing that runs unseen."""
    assert isinstance(sweep.launch, SlurmConfig)
    largest = {gpu: check_nodes(sweep.launch, gpu=gpu) for gpu in {job.resource == "gpu" for job in jobs}}
    _cancel_unwritten(sweep, status)
    ids = {job.name: job.id for job in status.jobs if job.state in ACTIVE}
    made: list[str] = []
    try:
        for batch in batches(jobs, width):
            found = _submit_batch(folder, sweep, batch, ids, largest[batch.jobs[0].resource == "gpu"])
            ids |= found
            made += found.values()
    except LaunchError:
        _cancel_unwritten(sweep, status)
        raise
    held = [job.id for job in status.jobs if job.state == State.HELD]
    slurm.release([*held, *made])


def _cancel_unwritten(sweep: Sweep, status: SweepStatus) -> None:
    """Cancel what bears the sweep's tag and its status does not know.

    Those are submissions that were interrupted, or that SLURM accepted although its answer did not arrive.
    """
    slurm.cancel(sorted(set(slurm.tagged(sweep.tag)) - {job.id for job in status.jobs}))


def _submit_batch(
    folder: Path, sweep: Sweep, batch: JobBatch, ids: Mapping[str, str], largest_gb: int | None
) -> dict[str, str]:
    assert isinstance(sweep.launch, SlurmConfig)
    generation = 1 + max(len(job.submissions) for job in sweep.jobs)
    request = slurm.Request(
        names=[job.name for job in batch.jobs],
        gpu=batch.jobs[0].resource == "gpu",
        after=[ids[name] for name in batch.jobs[0].after],
        title=sweep.name if batch.slot is None else f"{sweep.name}.{generation}.{batch.slot + 1}",
        alone=batch.slot is not None,
        width=batch.width,
        tag=sweep.tag,
        memory=memory_of((sweep.stage[key].memory_gb for job in batch.jobs for key in job.stages), largest_gb),
    )
    found = dict(zip(request.names, slurm.submit(folder, logs(folder), sweep.launch, request), strict=True))
    write_submitted(folder, {name: Submission.now(job_id) for name, job_id in found.items()})
    return found


def memory_of(estimates: Iterable[int | None], largest_gb: int | None) -> str | None:
    """Return the memory to ask for: the largest estimate, or all of a node (0) where no node has so much.

    None leaves it to the cluster: nothing is estimated, or the cluster does not know its nodes' memory.
    """
    needed = max((one for one in estimates if one), default=None)
    if needed is None or largest_gb == 0:
        return None
    return f"{needed}GB" if largest_gb is None or needed < largest_gb else "0"


def _new(run: Composed, sweep: str | None, absent: dict[str, None]) -> NewRun:
    """Describe a run after checking it; what this machine lacks and SLURM's nodes may have goes into `absent`."""

    def note(error: NotHereError) -> None:
        if not run.config.launch.queued:
            raise error
        absent[f"{error} The nodes may have it (launch.setup, launch.container); each job looks when it starts"] = None

    compiled = compile_run(run.config)
    check(compiled, note)
    values = run.config.model_dump(mode="json")
    estimated = costs(compiled.plan, run.config, Store(Path(run.config.store)))
    memory = {cost.stage.key: math.ceil(cost.memory.host_gib) for cost in estimated if cost.memory}
    return NewRun(run_name(run.config), run_folder(run.config, sweep), run.overrides, values, compiled.plan, memory)


def _state_needs(store: str, new: Sequence[NewRun], console: Console) -> None:
    """Say what the nodes must reach; the first jobs look for it before they compute anything."""
    found = [stage.outside() for run in new for stage in run.plan.reaching_out(Store(Path(store)))]
    if needed := [what for what in dict.fromkeys(found) if what]:
        line = f"the nodes must reach {', '.join(needed)} (the first jobs look)"
        print_line(console, line)
