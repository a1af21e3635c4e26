"""Make a sweep: partition its runs' plans into jobs, and write everything down before anything is submitted."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from launch.job_partition import partition_into_jobs
from launch.sweep import EVENTS, FILE, JobEntry, RunEntry, StageEntry, Sweep, load, save, timestamp, write_configs
from mt.config.launch import DetachedLaunch
from mt.errors import LaunchError, describe
from mt.running.naming import command_line
from mt.runtime.lock import create_once
from mt.workflow import provenance
from mt.workflow.leftovers import note_needed
from mt.workflow.plan import Plan, merge
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store

STORE_ID = ".mark"  # as the file is called in stores that exist


@dataclass(frozen=True)
class NewRun:
    """A run to be submitted."""

    name: str
    folder: Path
    overrides: list[str]
    values: dict[str, Any]
    """The resolved configuration."""
    plan: Plan
    memory_gb: Mapping[str, int]
    """Memory that stages need on their node, by key, where it is estimated."""


class _CachedArtifacts:
    """A store that is asked once about each stage, however many runs have it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, bool] = {}

    def has(self, stage: Stage) -> bool:
        """Say whether the stage's artifact is published."""
        if stage.key not in self._known:
            self._known[stage.key] = self._store.has(stage)
        return self._known[stage.key]

    def stopped(self, stage: Stage) -> bool:
        """Say whether a deciding stage is published and has stopped the run."""
        return self._store.stopped(stage)


def create(folder: Path, runs: Sequence[NewRun], launch: DetachedLaunch, store: Store, planner: str) -> Sweep:
    """Write a new sweep into `folder` and return it; raises LaunchError where its name is taken."""
    refuse_reuse(folder)
    merged = merge(run.plan for run in runs)
    note_needed(store, str(folder.resolve()), merged.order)
    git = _git_state(folder, launch.require_clean)
    artifacts = _CachedArtifacts(store)
    missing = {run.name: run.plan.missing(artifacts) for run in runs}
    jobs = partition_into_jobs(missing, share=launch.share)
    needed = {stage.key for stages in missing.values() for stage in stages}
    memory = {key: gb for run in runs for key, gb in run.memory_gb.items()}
    (folder / EVENTS).unlink(missing_ok=True)  # of a submission that was refused
    write_configs(folder, {run.name: run.values for run in runs})
    sweep = Sweep(
        version=1,
        place=folder.absolute(),
        name=folder.name,
        tag=f"mt-{uuid.uuid4().hex[:12]}",
        created=timestamp(),
        command=command_line(),
        cwd=str(Path.cwd()),
        planner=planner,
        store=str(store.root),
        store_id=store_id(store.root),
        launch=launch,
        git=git,
        runs=[
            RunEntry(
                name=run.name,
                overrides=run.overrides,
                folder=os.path.relpath(run.folder, folder),
                total=sum(not isinstance(stage, External) for stage in run.plan.order),
            )
            for run in runs
        ],
        stages=[
            StageEntry(
                key=stage.key,
                address=stage.address,
                label=str(merged.position(stage)),
                memory_gb=memory.get(stage.key),
                decisions=sorted(needed.intersection(merged.decisions.get(stage.key, ()))),
            )
            for stage in merged.order
            if stage.key in needed
        ],
        jobs=[JobEntry(**asdict(job)) for job in jobs],
    )
    save(folder, sweep)
    return sweep


def refuse_reuse(folder: Path) -> None:
    """Raise LaunchError where a sweep of this name exists already."""
    if not (folder / FILE).exists():
        return
    sweep = load(folder)
    if all(sweep.is_done(job.name) for job in sweep.jobs):
        problem = f"a finished sweep of this name lies in {folder}"
        raise LaunchError(describe("sweep", folder.name, problem, fix="Choose another name: sweep=NAME"))
    problem = f"it was submitted already and is not finished ({folder})"
    fix = f"See python -m launch.status {folder.name}, go on with python -m launch.resume {folder.name}"
    raise LaunchError(describe("sweep", folder.name, problem, fix=f"{fix}, or choose another name: sweep=NAME"))


def _git_state(folder: Path, require_clean: bool) -> dict[str, Any]:
    """Return the state of the code; uncommitted changes are refused or written down."""
    state = provenance.git_state()
    if not state["dirty"]:
        return state
    if require_clean:
        problem = f"the working tree of commit {state['commit'][:12]} has uncommitted changes"
        fix = "Commit them, or set launch.require_clean=false to record them with the sweep"
        raise LaunchError(describe("launch.require_clean", "true", problem, fix=fix))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "difference.patch").write_text(provenance.git_difference())
    return {**state, "difference": "difference.patch"}


def store_id(root: Path) -> str:
    """Return the store's id, which the first call makes."""
    create_once(root / STORE_ID, uuid.uuid4().hex)
    return (root / STORE_ID).read_text()


def check_store(root: Path, expected: str) -> None:
    """Raise LaunchError unless this node sees the store that the sweep was submitted with."""
    file = root / STORE_ID
    seen = file.read_text() if file.is_file() else None
    if seen != expected:
        problem = f"{socket.gethostname()} does not see the store of the machine that submitted"
        fix = "Put the store on a file system that all nodes share: store=DIR"
        raise LaunchError(describe("store", root, problem, fix=fix))
