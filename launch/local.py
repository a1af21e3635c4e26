"""Jobs as processes on this machine, through submitit's local executor: the command stays until they are done."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from submitit import LocalExecutor
from submitit.local.local import LocalJob

from launch.job import RunJob
from launch.machine import MachineShare, cpu_shares, usable_gpus
from launch.slurm import Seen
from launch.sweep import Submission, load, logs, write_submitted
from mt.runtime.interruption import interruptible, uninterrupted

_FOREVER_MIN = 60 * 24 * 3650
_POLL_S = 1.0


@dataclass(frozen=True)
class _Running:
    process: LocalJob[None]
    slot: int
    has_gpus: bool


def run(folder: Path, names: Sequence[str], width: int, tick: Callable[[], None]) -> None:
    """Run jobs, each after those it waits for, `width` at a time; what waits for a failed job does not start.

    Where there are GPUs, a job that needs them has as many as any other, at least one, each for itself alone.
    `tick` is called about once a second. Whatever ends this function ends the processes as well.
    """
    waiting, running = list(names), list[_Running]()
    on_gpu = {name for name, job in load(folder).job.items() if name in names and job.resource == "gpu"}
    gpus = tuple(usable_gpus()) if on_gpu else ()
    each = max(1, len(gpus) // min(width, len(on_gpu))) if gpus else 0
    cpus = cpu_shares(min(width, len(names)))
    with interruptible():
        try:
            while running or _ready(folder, waiting):
                for name in _ready(folder, waiting):
                    own = gpus if name in on_gpu else ()
                    free = set(range(len(cpus))) - {one.slot for one in running}
                    if free and not (own and sum(one.has_gpus for one in running) * each + each > len(gpus)):
                        waiting.remove(name)
                        slot = min(free)
                        running.append(_start(folder, name, slot, MachineShare(own, each if own else 0, cpus[slot])))
                time.sleep(_POLL_S)
                running = [one for one in running if not one.process.done()]
                tick()
        finally:
            with uninterrupted():
                stop([one.process.job_id for one in running])


def states(submissions: Iterable[Submission]) -> dict[str, Seen]:
    """Return the jobs whose processes live on this machine."""
    here = [one.id for one in submissions if one.host == socket.gethostname()]
    return {pid: Seen("RUNNING") for pid in here if _controller(pid) is not None}


def stop(ids: Iterable[str]) -> None:
    """Terminate jobs; each stops its work first, and is killed when that takes too long."""
    found = [process for pid in ids if (process := _controller(pid)) is not None]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(found, timeout=20)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _ready(folder: Path, waiting: Sequence[str]) -> list[str]:
    """Return the waiting jobs whose dependencies have succeeded (one that is not waiting and did not is broken)."""
    if not waiting:
        return []
    sweep = load(folder)
    return [
        name for name in waiting if not sweep.job[name].cancelled and all(map(sweep.is_done, sweep.job[name].after))
    ]


def _start(folder: Path, name: str, slot: int, share: MachineShare) -> _Running:
    executor = LocalExecutor(folder=logs(folder))
    executor.update_parameters(timeout_min=_FOREVER_MIN, stderr_to_stdout=True)
    process = executor.submit(RunJob(str(folder), name, share))
    assert isinstance(process, LocalJob)
    write_submitted(folder, {name: Submission.now(process.job_id)})
    return _Running(process, slot, bool(share.gpus))


def _controller(pid: str) -> psutil.Process | None:
    """Return the process of a local job, unless it has ended (or its number belongs to another one now)."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(int(pid))
        if process.status() != psutil.STATUS_ZOMBIE and "submitit.local._local" in process.cmdline():
            return process
    return None
