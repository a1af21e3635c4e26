"""The job that submitit calls on a node: it starts the work as a child process, and restarts or requeues it.

It imports nothing heavy, and carries only the sweep's folder and the job's name: an attempt continues from what the
store holds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submitit.helpers import DelayedSubmission

from launch import attempts, progress
from launch.attempts import Attempt
from launch.machine import MachineShare
from launch.states import State
from launch.sweep import last_words, load, log_file
from mt.errors import LaunchError
from mt.runtime.child import Child

STOPPED = 75
"""The exit code of work that ended because it was asked to."""
_POLL_S = 0.5
GRACE_S = 10.0
_LINGER_S = 900.0
_LINGER_POLL_S = 2.0


@dataclass
class RunJob:
    """Callable without arguments that runs one job of a sweep to its end."""

    folder: str
    name: str
    share: MachineShare | None = None
    """Its share of this machine; None where the scheduler assigns resources."""
    _child: Child | None = field(default=None, init=False, repr=False)
    _attempt: Attempt | None = field(default=None, init=False, repr=False)
    _stop_requested: bool = field(default=False, init=False, repr=False)

    def __call__(self) -> None:
        """Run attempts until everything is published; raises LaunchError when the work fails or gets nowhere."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        with self.share.held(lambda: self._stop_requested) if self.share else nullcontext():
            try:
                while not self._finished():
                    pass
            finally:
                self._stop_child()

    def checkpoint(self) -> DelayedSubmission:
        """Stop the work (time limit, preemption); submitit then queues this job again."""
        self._stop_child()
        self._end(State.CANCELLED, "time limit or preemption")
        return DelayedSubmission(RunJob(self.folder, self.name))

    def _finished(self) -> bool:
        """Make one attempt and return whether it finished; after a killed child another attempt is made."""
        self._begin()
        code = self._wait()
        if self._stop_requested:
            self._stop_child()
            self._end(State.CANCELLED, "preemption, requeue or cancel")
            _linger()
            raise LaunchError(f"job {self.name}: terminated")
        if code < 0 or code == STOPPED:
            self._end(State.LOST, f"killed by {signal.Signals(-code).name}" if code < 0 else "terminated")
            return False
        self._check_success(code)
        self._end(State.DONE)
        return True

    def _begin(self) -> None:
        """Start an attempt; the work itself refuses when the last ones made no progress."""
        sweep = load(Path(self.folder))
        absent, last = sweep.absent(self.name), progress.read(self._progress_file)
        published = len(sweep.job[self.name].stages) - len(absent)
        mark = published, last.best if last.stage in absent else 0.0
        self._attempt = attempts.begin(self._attempts_file, _job_id(), mark)
        work = ["-u", "-m", "launch.work", self.folder, self.name]
        self._child = Child(work, folder=Path(sweep.cwd), ignore_usr2=True, grace_s=GRACE_S)

    def _wait(self) -> int:
        """Return the child's exit code, or STOPPED as soon as this job is asked to stop."""
        assert self._child is not None
        while not self._stop_requested:
            code = self._child.poll()
            if code is not None:
                self._await_own_signal(code)
                self._child.close()  # what it left behind
                progress.retire(self._progress_file)
                return code
            time.sleep(_POLL_S)
        return STOPPED

    def _await_own_signal(self, code: int) -> None:
        """Wait for our own signal: the scheduler signals every process, and the child may end before ours arrives."""
        if code in (STOPPED, -signal.SIGTERM):
            deadline = time.monotonic() + 2
            while not self._stop_requested and time.monotonic() < deadline:
                time.sleep(0.1)

    def _check_success(self, code: int) -> None:
        """Trust published artifacts rather than an exit code."""
        sweep = load(Path(self.folder))
        absent = sweep.absent(self.name)
        if code == 0 and not absent:
            return
        last = attempts.read(self._attempts_file)[-1]
        if last.state == State.FAILED:  # its work itself said why
            raise LaunchError(last.reason)
        how = f"ended without publishing {sweep.stage[absent[0]].address}"
        if code:
            how = f"exited with code {code}: {last_words(log_file(Path(self.folder), _job_id()))}"
        self._end(State.FAILED, reason := f"job {self.name}: its work {how}")
        raise LaunchError(reason)

    def _end(self, state: State, reason: str = "") -> None:
        if self._attempt is not None:
            attempts.end(self._attempts_file, self._attempt, state, reason)
            self._attempt = None

    def _stop_child(self) -> None:
        if self._child is not None:
            self._child.close()
            progress.retire(self._progress_file)
            self._child = None

    def _on_terminate(self, *signal_and_frame: Any) -> None:
        self._stop_requested = True

    @property
    def _attempts_file(self) -> Path:
        return attempts.file_of(Path(self.folder), self.name)

    @property
    def _progress_file(self) -> Path:
        return progress.file_of(Path(self.folder), self.name)


def _job_id() -> str:
    """Return the id under which the scheduler knows this job; a requeue keeps it."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or os.environ.get("SUBMITIT_LOCAL_JOB_ID") or str(os.getpid())


def _linger() -> None:
    """Leave the end to SLURM while it still calls this job running.

    A job that is preempted after a grace time is queued again only if it is killed: ending by itself it would
    count as failed. A cancelled one is no longer running, and ends at once. Where SLURM cannot be asked (in a
    container without its commands), it ends the job as it always would: by killing it.
    """
    job = os.environ.get("SLURM_JOB_ID")
    deadline = time.monotonic() + _LINGER_S
    while job and time.monotonic() < deadline and _state_of(job) in ("RUNNING", ""):
        time.sleep(_LINGER_POLL_S)


def _state_of(job: str) -> str:
    """Return SLURM's word for a job, or nothing where it does not answer."""
    query = ["squeue", "--noheader", "--jobs", job, "--format", "state=%T"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((line.removeprefix("state=").strip() for line in lines if line.startswith("state=")), "")
