"""The sweep folder: everything that was submitted, written down so that any shell can look after it later.

`<runs>/<sweep>/` holds `sweep.json` (this module), `configs/` (each run's resolved configuration), `logs/`
(submitit's files and the jobs' output, named by job id), `attempts/` and `progress/` (written by the jobs),
`difference.patch` (uncommitted changes at submission) and the runs' own folders.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from launch.cut import Job, Resource
from mt.config.base import Config
from mt.config.launch import LaunchConfig
from mt.errors import LaunchError, describe, nearest
from mt.workflow.store import write_json

FILE = "sweep.json"
_DRIVER = ".driver"


class StageEntry(Config):
    """A stage of the merged plan that was missing at submission."""

    key: str
    address: str
    """Where its artifact will lie in the store."""
    label: str
    """Where in the algorithm it belongs."""

    @property
    def kind(self) -> str:
        """The stage's name."""
        return self.address.split("/")[0]


class RunEntry(Config):
    """One run of the sweep."""

    name: str
    overrides: list[str]
    folder: str
    """Where its record is written."""
    total: int
    """Stages of its plan, those that were already there included."""


class Submission(Config):
    """One time that a job was handed to the scheduler."""

    id: str
    """The scheduler's job id ("12", "12_3"); the process id for local jobs."""
    host: str
    """The machine that submitted."""
    time: str


class JobEntry(Config):
    """A job of the cut and its submissions."""

    name: str
    resource: Resource
    stages: list[str]
    runs: list[str]
    after: list[str]
    records: list[str]
    submissions: list[Submission]

    @property
    def id(self) -> str | None:
        """The id of the last submission."""
        return self.submissions[-1].id if self.submissions else None

    def job(self) -> Job:
        """Return the job as the cut knows it."""
        return Job(
            name=self.name,
            resource=self.resource,
            stages=tuple(self.stages),
            runs=tuple(self.runs),
            after=tuple(self.after),
            records=tuple(self.records),
        )


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
    """The mark in the store's root, by which a job knows that it sees the same store."""
    launch: LaunchConfig
    git: dict[str, Any]
    runs: list[RunEntry]
    stages: list[StageEntry]
    jobs: list[JobEntry]
    cancelled: list[str]
    """The jobs that `cancel` stopped and no `resume` has started again."""

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
        return {entry.name: Path(entry.folder) for entry in self.runs}

    def artifact(self, key: str) -> Path:
        """Return the file that exists once the stage is published."""
        return Path(self.store) / self.stage[key].address / "artifact.json"

    def is_done(self, name: str) -> bool:
        """Say whether everything that a job was to publish and to record is there."""
        job = self.job[name]
        return all(self.artifact(key).is_file() for key in job.stages) and all(map(self.is_recorded, job.records))

    def is_recorded(self, run: str) -> bool:
        """Say whether a run's record is complete."""
        try:
            return bool(json.loads((self.folder[run] / "record.json").read_text())["state"] == "finished")
        except (FileNotFoundError, json.JSONDecodeError, KeyError):
            return False


def load(folder: Path) -> Sweep:
    """Read a sweep; raises LaunchError when there is none or it cannot be read."""
    try:
        return Sweep.model_validate_json((folder / FILE).read_text())
    except FileNotFoundError:
        raise LaunchError(f"{folder}: no sweep was submitted here (it has no {FILE})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LaunchError(f"{folder / FILE}: cannot be read ({where}: {first['msg']})") from None


def save(folder: Path, sweep: Sweep) -> None:
    """Write a sweep in one step."""
    write_json(folder / FILE, json.loads(sweep.model_dump_json()))


def update(folder: Path, change: Callable[[Sweep], dict[str, Any]]) -> Sweep:
    """Change fields of a written sweep, one command at a time, and return it."""
    with (folder / f".{FILE}.edit").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sweep = load(folder)
        changed = sweep.model_copy(update=change(sweep))
        save(folder, changed)
    return load(folder)


def submitted(folder: Path, found: Mapping[str, Submission]) -> Sweep:
    """Write down that jobs (by name) were handed to the scheduler, and return the sweep with them."""

    def entry(job: JobEntry) -> JobEntry:
        more = [found[job.name]] if job.name in found else []
        return job.model_copy(update={"submissions": [*job.submissions, *more]})

    return update(
        folder,
        lambda sweep: {
            "jobs": [entry(job) for job in sweep.jobs],
            "cancelled": [name for name in sweep.cancelled if name not in found],
        },
    )


def find(runs: Path, name: str) -> Path:
    """Return the folder of a sweep; raises LaunchError with the nearest name when there is none."""
    if (runs / name / FILE).is_file():
        return runs / name
    known = names(runs)
    listed = ", ".join(known[:10]) or f"none was submitted in {runs}"
    raise LaunchError(describe("sweep", name, "no such sweep", allowed=listed) + nearest(name, known))


def names(runs: Path) -> list[str]:
    """Return the names of the sweeps in a folder of runs, the newest first."""
    files = sorted(runs.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.parent.name for file in files]


@contextlib.contextmanager
def driving(folder: Path) -> Iterator[None]:
    """Be the one command that submits, resumes or cancels a sweep; raises LaunchError while another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _DRIVER).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"another command is at work on it (process {driver(folder)})"
            raise LaunchError(describe("sweep", folder.name, problem, mend="Wait until it ends")) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def driver(folder: Path) -> int | None:
    """Return the other process on this machine that submits, resumes or cancels the sweep just now, or None."""
    file = folder / _DRIVER
    if not file.exists():
        return None
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = int(lock.read() or 0)
            return None if pid == os.getpid() else pid
    return None


def config_file(folder: Path, run: str) -> Path:
    """Return where a run's resolved configuration lies."""
    return folder / "configs" / f"{run}.json"


def logs(folder: Path) -> Path:
    """Return where submitit's files and the jobs' output lie."""
    return folder / "logs"


def log_file(folder: Path, job_id: str) -> Path:
    """Return the output of a job; every attempt appends to it."""
    return logs(folder) / f"{job_id}_0_log.out"
