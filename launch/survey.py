"""The status of a sweep: artifacts show what is done, heartbeats what runs, the scheduler the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from launch import attempts, local, progress, slurm
from launch.attempts import LOST, Attempt
from launch.progress import Computed, Progress
from launch.slurm import Seen
from launch.states import ACTIVE, BROKEN, MAY_RUN, State, worst
from launch.sweep import JobEntry, RunEntry, Sweep, driver, last_words, log_file
from mt.errors import LaunchError
from mt.running.estimates import Estimates

Verdict = tuple[State, str]
"""A state and the reason for it."""

_QUEUED = {"PENDING", "SUSPENDED", "STOPPED", "RESV_DEL_HOLD"}
_QUEUED |= {"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
_REASONS = {
    "Resources": "for a free node",
    "Priority": "for jobs that go first",
    "JobArrayTaskLimit": "for its turn: launch.max_running",
    **dict.fromkeys(
        ("BadConstraints", "PartitionConfig"),
        "no node has what it asks for: launch.gpus, launch.cpus, launch.mem_gb, launch.constraint, launch.extra",
    ),
    "ReqNodeNotAvail": "its nodes are down or reserved",
    "Nodes required for job are DOWN": "its nodes are down, drained or reserved",
    "PartitionTimeLimit": "its partition allows less than time_min",
    **dict.fromkeys(("JobHeldUser", "JobHeldAdmin", "job requeued in held state"), "held until scontrol release"),
    "launch failed requeued held": "held until scontrol release, because its node could not start it",
}
_RUNNING = {"RUNNING", "CONFIGURING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"}


@dataclass(frozen=True)
class JobStatus:
    """One job of a sweep as it stands."""

    name: str
    runs: list[str]
    state: State
    why: str
    """The reason of the state: what it waits for, why it failed."""
    done: int
    """Stages that are published, or unnecessary by now."""
    total: int
    stage: str
    """What is running: where in the algorithm, and the stage."""
    fraction: float | None
    """How far that stage is (0 to 1)."""
    attempt: int
    id: str
    node: str
    elapsed_s: float | None
    left_s: float | None
    """Estimated seconds until the job's last stage ends."""


@dataclass(frozen=True)
class RunStatus:
    """One run of a sweep as it stands."""

    name: str
    state: State
    why: str
    done: int
    """Stages that are published, or unnecessary by now."""
    total: int


@dataclass(frozen=True)
class SweepStatus:
    """A sweep as it stands."""

    name: str
    folder: str
    jobs: list[JobStatus]
    runs: list[RunStatus]
    note: str
    """Why the scheduler could not be asked, where it could not."""

    @property
    def state(self) -> State:
        """The worst state of its jobs, but of those that go on where any does."""
        return worst([job.state for job in self.jobs if job.state in MAY_RUN] or [job.state for job in self.jobs])

    @property
    def active(self) -> bool:
        """Say whether anything runs or will run by itself."""
        return any(job.state in ACTIVE for job in self.jobs)

    @property
    def may_go_on(self) -> bool:
        """Say whether anything is active, or might be for all that is known."""
        return self.state in MAY_RUN

    @property
    def finished(self) -> bool:
        """Say whether everything is published and recorded."""
        return self.state == State.DONE


def survey(folder: Path, sweep: Sweep, *, strict: bool = False) -> SweepStatus:
    """Find out how a sweep stands: one question to the scheduler for all jobs, the rest from files.

    Where the scheduler cannot be asked, files say what they can; `strict` raises LaunchError instead.
    """
    settled = set(filter(sweep.is_settled, sweep.stage))
    complete = {job.name for job in sweep.jobs if settled.issuperset(job.stages) and sweep.is_done(job.name)}
    seen, note = _ask(sweep, [job for job in sweep.jobs if job.name not in complete], strict)
    found = _Survey(folder, sweep, settled, complete, seen)
    for job in sweep.jobs:
        found.jobs[job.name] = found.describe(job)
    runs = [found.run(one) for one in sweep.runs]
    return SweepStatus(sweep.name, str(folder), list(found.jobs.values()), runs, note)


def _ask(sweep: Sweep, jobs: list[JobEntry], strict: bool) -> tuple[Mapping[str, Seen] | None, str]:
    last = [job.submissions[-1] for job in jobs if job.submissions]
    try:
        return slurm.states(one.id for one in last) if sweep.launch.queued else local.states(last), ""
    except LaunchError as error:
        if strict:
            raise
        return None, f"the scheduler could not be asked ({error})"


def computed(folder: Path, sweep: Sweep) -> list[Computed]:
    """Return every stage that the sweep's jobs computed, as often as one did."""
    return [one for job in sweep.jobs for one in progress.computed(folder, job.name)]


@dataclass
class _Survey:
    """What was found out, and the judgement of one job after another, dependencies first."""

    folder: Path
    sweep: Sweep
    settled: set[str]
    """Stages that nobody has to compute any more."""
    complete: set[str]
    seen: Mapping[str, Seen] | None
    """By id; None where the scheduler could not be asked."""
    jobs: dict[str, JobStatus] = field(default_factory=dict)

    def describe(self, job: JobEntry) -> JobStatus:
        """Return how a job stands."""
        past = attempts.read(attempts.file_of(self.folder, job.name))
        done: Verdict = (State.DONE, _after(past[:-1]))
        state, why = done if job.name in self.complete else self._judge(job, past)
        running = state == State.RUNNING
        now = progress.read(progress.file_of(self.folder, job.name)) if running else Progress()
        absent = [key for key in job.stages if key not in self.settled]
        seen = self._seen(job)
        return JobStatus(
            name=job.name,
            runs=list(job.runs),
            state=state,
            why=why,
            done=len(job.stages) - len(absent),
            total=len(job.stages),
            stage=self.sweep.stage[now.stage].title if now.stage in absent else "",
            fraction=now.done / now.total if now.stage in absent and now.total else None,
            attempt=len(past),
            id=job.id or "",
            node=(past[-1].node if past else "") or (seen.node if seen else ""),
            elapsed_s=sum(_seconds(one, running) for one in past) if past else None,
            left_s=self._left(now, absent) if running else None,
        )

    def run(self, entry: RunEntry) -> RunStatus:
        """Return how a run stands: as the worst of the jobs that it needs."""
        own = [job for job in self.jobs.values() if entry.name in job.runs]
        keys = {key for job in own for key in self.sweep.job[job.name].stages}
        state = worst(job.state for job in own)
        first = next((job for job in own if job.state == state), None)
        why = first.why or f"in {first.name}" if first and state != State.DONE else ""
        return RunStatus(entry.name, state, why, entry.total - len(keys - self.settled), entry.total)

    def _judge(self, job: JobEntry, past: list[Attempt]) -> Verdict:
        """Judge a job that is not done: by its heartbeat, then by what the scheduler says."""
        file = progress.file_of(self.folder, job.name)
        if progress.is_fresh(file):
            waiting = progress.read(file).waiting
            return State.RUNNING, f"waits for {waiting}" if waiting else _after(past[:-1])
        last = past[-1] if past and past[-1].id == job.id else None
        seen = self._seen(job)
        if seen is not None and seen.state in _QUEUED:
            return self._queued(seen, job, past)
        if seen is not None and seen.state in _RUNNING:
            silence = progress.silence_s(file)
            if seen.state == "COMPLETING":
                return State.RUNNING, "ending"
            if last is None or last.state != State.RUNNING or silence is None:
                return State.RUNNING, "starting"
            old = f"its last heartbeat is {silence / 60:.0f} minutes old (a slow node, or a clock that is behind)"
            return State.RUNNING, old if silence > progress.SILENT_S else _after(past[:-1])
        return self._ended(seen, job, last)

    def _queued(self, seen: Seen, job: JobEntry, past: list[Attempt]) -> Verdict:
        begun = bool(past) and past[-1].id == job.id
        if seen.reason.startswith("JobHeld") and not begun:
            return State.HELD, "its submission was interrupted: python -m launch.resume"
        if seen.reason == "Dependency":
            before = self._before(job, lambda state: state != State.DONE)
            return State.WAITING, f"for {', '.join(before)}" if before else "for its turn (launch.max_running)"
        reason = "" if begun and seen.reason == "BeginTime" else _in_words(seen.reason)
        return State.QUEUED, "; ".join(filter(None, (reason, _after(past) if begun else "")))

    def _ended(self, seen: Seen | None, job: JobEntry, last: Attempt | None) -> Verdict:
        if last is not None and last.state == State.FAILED:
            return State.FAILED, last.reason
        if job.cancelled:
            return State.CANCELLED, ""
        if last is None and (broken := self._before(job, lambda state: state in BROKEN)):
            first = self.jobs[broken[0]]
            return State.BLOCKED, first.why if first.state == State.BLOCKED else f"{first.name} {first.state}"
        if job.id is None:
            if driver(self.folder):
                return State.WAITING, "to be started"
            return State.NEW, "not submitted yet: python -m launch.resume"
        if self.seen is None:
            return State.UNKNOWN, "the scheduler could not be asked"
        if seen is None and last is not None and last.state == State.CANCELLED:
            return State.CANCELLED, last.reason
        if seen is None:
            return State.LOST, "it is gone without a word: python -m launch.resume"
        if seen.state == "CANCELLED":
            return State.CANCELLED, "by the scheduler or by hand"
        last_line = last_words(log_file(self.folder, job.id))
        return State.FAILED, f"SLURM says {seen.state}, and the log ends: {last_line}"

    def _seen(self, job: JobEntry) -> Seen | None:
        return (self.seen or {}).get(job.id or "")

    def _before(self, job: JobEntry, wanted: Callable[[State], bool]) -> list[str]:
        return [name for name in job.after if wanted(self.jobs[name].state)]

    def _left(self, now: Progress, absent: list[str]) -> float | None:
        """Estimate the running stage by its own speed, and the next ones by what their kind took in this sweep."""
        kinds = {key: self.sweep.stage[key].kind for key in absent}
        later = self._estimates.remaining([kind for key, kind in kinds.items() if key != now.stage])
        if now.stage not in kinds:
            return later
        current = now.seconds_left(time.time())
        if current is None and (mean := self._estimates.of(kinds[now.stage])):
            current = max(0.0, mean - (time.time() - now.started))
        alone = len(absent) == 1
        return None if current is None or (later is None and not alone) else current + (later or 0.0)

    @cached_property
    def _estimates(self) -> Estimates:
        return Estimates((one.stage, one.seconds) for one in computed(self.folder, self.sweep))


def _after(past: list[Attempt]) -> str:
    """Return what ended earlier attempts from outside (a lost node, a preemption)."""
    reasons = dict.fromkeys(one.reason or LOST for one in past if one.state != State.FAILED)
    return f"again after: {', '.join(reasons)}" if reasons else ""


def _in_words(reason: str) -> str:
    """Explain SLURM's commonest reasons; the others are shown as they are."""
    name = reason.split(",")[0]  # of "ReqNodeNotAvail, UnavailableNodes:n1"
    if name not in _REASONS:
        return reason
    return _REASONS[name] if " " in name else f"{_REASONS[name]} ({reason})"


def _seconds(attempt: Attempt, running: bool) -> float:
    if attempt.ended is None and not running:
        return 0.0
    ended = datetime.fromisoformat(attempt.ended) if attempt.ended else datetime.now().astimezone()
    return max(0.0, (ended - datetime.fromisoformat(attempt.started)).total_seconds())  # clocks of two machines
