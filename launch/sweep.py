"""The sweep folder: everything that was submitted, written down so that any shell can look after it later.

`<runs>/<sweep>/` holds `sweep.json` (plan, jobs, settings: written once), `events.jsonl` (what was submitted under
which id, what was cancelled), `configs.json` (the runs' resolved configurations), `logs/` (submitit's files and the
jobs' output, named by job id), `attempts/`, `progress/` and `computed/` (written by the jobs), `difference.patch`
(uncommitted changes at submission) and the runs' own folders.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from launch.job_partition import Job
from mt.choice import Config
from mt.config.launch import DetachedLaunch
from mt.errors import LaunchError, describe, nearest
from mt.running.alone import alone, lock_of_folder
from mt.runtime.jsonl import JsonLines, Refuse, problem
from mt.runtime.lock import Owner
from mt.workflow.store import is_stopped, recall, write_text

FILE = "sweep.json"
EVENTS = "events.jsonl"
_CONFIGS = "configs.json"
T = TypeVar("T")


class StageEntry(Config):
    """A stage of the merged plan that was missing at submission."""

    key: str
    address: str
    """Where its artifact will lie in the store."""
    label: str
    """Where in the algorithm it belongs."""
    memory_gb: int | None
    """Memory that it needs on its node, where that is estimated."""
    decisions: list[str] = Field(default_factory=list)
    """Keys of the stages that may make it unnecessary (`Plan.decisions`)."""

    @property
    def kind(self) -> str:
        """The stage's name."""
        return self.address.split("/")[0]

    @property
    def title(self) -> str:
        """Where in the algorithm it belongs, and its name."""
        return f"{self.label} · {self.kind}" if self.label else self.kind


class RunEntry(Config):
    """One run of the sweep."""

    name: str
    overrides: list[str]
    folder: str
    """Where its record is written, as seen from the sweep's folder, which may be moved."""
    total: int
    """Stages of its plan, those that were already there included."""


class Submission(Config):
    """One time that a job was handed to the scheduler."""

    id: str
    """The scheduler's job id ("12", "12_3"); the process id for local jobs."""
    host: str
    """The machine that submitted."""
    time: str

    @classmethod
    def now(cls, job_id: str) -> Submission:
        """Return a submission made here and now."""
        return cls(id=job_id, host=socket.gethostname(), time=timestamp())


class Event(Config):
    """What happened to a job after the sweep was written down."""

    job: str
    submitted: Submission | None
    """None where the job was cancelled."""


@dataclass(frozen=True)
class JobEntry(Job):
    """A job of the partition and its submissions."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
    submissions: list[Submission] = field(default_factory=list)
    """From `events.jsonl`."""
    cancelled: bool = False
    """Stopped by `cancel`, and not started again since."""

    @property
    def id(self) -> str | None:
        """The id of the last submission."""
        return self.submissions[-1].id if self.submissions else None


class Sweep(Config):
    """What was submitted, how and from where."""

    version: Literal[1]
    name: str
    tag: str
    """Marks the sweep's jobs at the scheduler, so that none is lost when a submission is interrupted."""
    created: str
    command: list[str]
    cwd: str
    planner: str
    """What turns a run's configuration into its plan, as "module:function"."""
    store: str
    store_id: str
    """The id in the store's root, by which a job knows that it sees the same store."""
    launch: DetachedLaunch
    git: dict[str, Any]
    runs: list[RunEntry]
    stages: list[StageEntry]
    jobs: list[JobEntry]
    place: Path = Field(default=Path(), exclude=True)
    """The sweep's folder, where it was found."""

    @cached_property
    def stage(self) -> dict[str, StageEntry]:
        """The stages by key."""
        return {entry.key: entry for entry in self.stages}

    @cached_property
    def job(self) -> dict[str, JobEntry]:
        """The jobs by name."""
        return {entry.name: entry for entry in self.jobs}

    @cached_property
    def folder(self) -> dict[str, Path]:
        """The runs' folders by name."""
        return {entry.name: self.place / entry.folder for entry in self.runs}

    def artifact(self, key: str) -> Path:
        """Return the file that exists once the stage is published."""
        return Path(self.store) / self.stage[key].address / "artifact.json"

    def is_settled(self, key: str) -> bool:
        """Say whether nobody has to compute a stage: it is published, or a decision has made it unnecessary."""
        stopped = (is_stopped(self.artifact(one).parent) for one in self.stage[key].decisions)
        return self.artifact(key).is_file() or any(stopped)

    def absent(self, name: str) -> list[str]:
        """Return the keys of a job's stages that are still to be computed."""
        return [key for key in self.job[name].stages if not self.is_settled(key)]

    def is_done(self, name: str) -> bool:
        """Say whether everything that a job had to publish and to record is there."""
        return not self.absent(name) and all(map(self.is_recorded, self.job[name].records))

    def is_recorded(self, run: str) -> bool:
        """Say whether a run's record is complete."""
        return self.recorded_state(run) == "finished"

    def recorded_state(self, run: str) -> str | None:
        """Return the state in a run's record, or None where there is no record yet."""
        state = recall(self.folder[run] / "record.json").get("state")
        return None if state is None else str(state)


def load(folder: Path) -> Sweep:
    """Read a sweep with all that happened to it; raises LaunchError when there is none or it cannot be read."""
    try:
        sweep = Sweep.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise LaunchError(f"{folder}: no sweep was submitted here (it has no {FILE})") from None
    except ValidationError as error:
        what = f"damaged, or written by another version of this code ({problem(error)})"
        fix = "What it published stays; submit it again under another name: sweep=NAME"
        raise LaunchError(f"{folder / FILE}: {what}. {fix}") from None
    changes: dict[str, dict[str, Any]] = {}
    for event in rows(folder / EVENTS, Event, "foreign").read():
        change = changes.setdefault(event.job, {"submissions": []})
        change["cancelled"] = event.submitted is None
        change["submissions"] += [event.submitted] if event.submitted else []
    jobs = [replace(job, **changes.get(job.name, {})) for job in sweep.jobs]
    return sweep.model_copy(update={"jobs": jobs, "place": folder.absolute()})


def save(folder: Path, sweep: Sweep) -> None:
    """Write a sweep in one step; submissions and cancellations are events of their own."""
    write_text(folder / FILE, sweep.model_dump_json(exclude={"jobs": {"__all__": {"submissions", "cancelled"}}}))


def write_submitted(folder: Path, found: Mapping[str, Submission]) -> None:
    """Write down that jobs (by name) were handed to the scheduler."""
    _append(folder, [Event(job=name, submitted=one) for name, one in found.items()])


def write_cancelled(folder: Path, names: Iterable[str]) -> None:
    """Write down that jobs were cancelled."""
    _append(folder, [Event(job=name, submitted=None) for name in names])


def _append(folder: Path, events: Iterable[Event]) -> None:
    with rows(folder / EVENTS, Event) as written:
        written.append(*(event.model_dump() for event in events))


def rows(file: Path, kind: type[T], refuse: Refuse = "nothing") -> JsonLines[T]:
    """Return a file of rows, each on the disk when its append returns; raises LaunchError for those it refuses."""
    return JsonLines(file, kind, refuse=refuse, error=LaunchError, sync=True)


def timestamp() -> str:
    """Return the present time with its offset from UTC, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def driving(folder: Path) -> AbstractContextManager[None]:
    """Be the one command that submits, resumes or cancels a sweep; raises LaunchError while another one does."""
    return alone(folder, "sweep", error=LaunchError)


def driver(folder: Path) -> Owner | None:
    """Return the other process that submits, resumes or cancels the sweep just now, or None."""
    owner = lock_of_folder(folder).owner()
    return None if owner is None or (owner.is_here and owner.pid == os.getpid()) else owner


def find(runs: Path, name: str) -> Path:
    """Return the folder of a sweep; raises LaunchError with the nearest name when there is none."""
    if (runs / name / FILE).is_file():
        return runs / name
    known = names_or_refuse(runs)
    raise LaunchError(describe("sweep", name, "no such sweep", allowed=", ".join(known[:10])) + nearest(name, known))


def names_or_refuse(runs: Path) -> list[str]:
    """Return the names of the sweeps, the newest first; raises LaunchError where there is none."""
    if known := names(runs):
        return known
    raise LaunchError(f"{runs}: no sweep was submitted here. Allowed: a folder of runs. Set --runs DIR")


def names(runs: Path) -> list[str]:
    """Return the names of the sweeps in a folder of runs, the newest first."""
    files = sorted(runs.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.parent.name for file in files]


def write_configs(folder: Path, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the runs' resolved configurations."""
    write_text(folder / _CONFIGS, json.dumps(values, ensure_ascii=False))


def read_configs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the runs' resolved configurations by name; raises LaunchError when they cannot be read."""
    try:
        return TypeAdapter(dict[str, dict[str, Any]]).validate_json((folder / _CONFIGS).read_bytes())
    except FileNotFoundError:
        raise LaunchError(f"{folder / _CONFIGS}: it is gone, and the runs of the sweep with it") from None
    except ValidationError as error:
        raise LaunchError(f"{folder / _CONFIGS}: cannot be read ({problem(error)})") from None


def logs(folder: Path) -> Path:
    """Return where submitit's files and the jobs' output lie."""
    return folder / "logs"


def log_file(folder: Path, job_id: str) -> Path:
    """Return the output of a job; every attempt appends to it."""
    return logs(folder) / f"{job_id}_0_log.out"


def last_words(log: Path) -> str:
    """Return the last line that a job printed, without srun's remark that it ended."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = (line.strip() for line in reversed(lines) if not line.startswith("srun: "))
    return next((line for line in said if line), "it printed nothing")
