"""The runs of a sweep as `mt.run` knows them: rebuilt from their configuration, recorded from the store."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launch import progress
from launch.sweep import Sweep
from mt.config.run import RunConfig
from mt.methods.compile import CompiledRun, compile_run
from mt.running.record import Record, RunState
from mt.running.tracker_callbacks import tracked
from mt.workflow.plan import Plan
from mt.workflow.store import Store
from mt.workflow.work import Observer

PLANNER = "launch.runs:PlannedRun"


class PlannedRun:
    """One run of a sweep, rebuilt from its resolved configuration."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.compiled: CompiledRun = compile_run(RunConfig.model_validate(values))

    @property
    def plan(self) -> Plan:
        """The run's stages."""
        return self.compiled.plan

    @contextmanager
    def tracked(self, sweep: Sweep, run: str) -> Iterator[list[Observer]]:
        """Track the run inside the block; yields the observers of its stages."""
        record = Record(sweep.folder[run], self.compiled, Store(Path(sweep.store)), sweep.name)
        with tracked(record, print) as observers:
            yield observers

    def record(self, folder: Path, sweep: Sweep, run: str, state: RunState, error: Exception | None = None) -> None:
        """Write the run's record as the store and the jobs' journals have it.

        What a job computed for several runs counts as computed by the first of them, and as reused by the others.
        """
        own = [one.key for job in sweep.jobs if job.runs[0] == run for one in progress.computed(folder, job.name)]
        record = Record(sweep.folder[run], self.compiled, Store(Path(sweep.store)), sweep.name, own)
        record.facts["command"] = shlex.join(sweep.command)
        record.begin(since=sweep.created)
        if state in ("planned", "running"):
            record.write(state)
        else:
            record.end(state, error)
