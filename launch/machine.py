"""What a job of launch=local may use of this machine: GPUs that no other job uses, and a share of the CPU cores."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from mt.errors import LaunchError, describe
from mt.runtime.lock import Held, Lock

_DEVICE = re.compile(r"\s*(GPU|MIG)\b.*\(UUID: ([^)]+)\)")
_POLL_S = 2.0


class Gpu(NamedTuple):
    """A GPU or a MIG device."""

    name: str
    """What CUDA_VISIBLE_DEVICES calls it: an index, a UUID, or the beginning of one."""
    id: str
    """Its UUID, whatever the name; the name where nvidia-smi does not know it."""


@dataclass(frozen=True)
class MachineShare:
    """What one job may use."""

    gpus: tuple[Gpu, ...]
    """GPUs to choose from."""
    count: int
    """How many of them the job takes, each for itself alone."""
    cpus: tuple[int, ...]
    """CPUs that it is bound to; empty where the system binds no process."""

    @contextlib.contextmanager
    def held(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Use the share while the block lasts, after waiting for free GPUs; raises LaunchError once `stopped()`."""
        if self.cpus:
            os.sched_setaffinity(0, self.cpus)
        with contextlib.ExitStack() as stack:
            while len(taken := self._take(stack)) < self.count:
                stack.close()
                if stopped():
                    raise LaunchError("stopped while it waited for a free GPU")
                time.sleep(_POLL_S)
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
            yield

    def _take(self, stack: contextlib.ExitStack) -> list[str]:
        """Lock as many GPUs as are wanted, or are free; of two jobs, none keeps a part of what both wait for."""
        folder = Path(tempfile.gettempdir()) / f"mutual-taught-gpus-{os.getuid()}"
        taken: list[str] = []
        for gpu in self.gpus:
            if len(taken) < self.count:
                with contextlib.suppress(Held):
                    stack.enter_context(Lock(folder / gpu.id.replace("/", "-")).hold(wait=False))
                    taken.append(gpu.name)
        return taken


def cpu_shares(width: int) -> list[tuple[int, ...]]:
    """Return equal shares of the CPUs that this process may use, at least one CPU each."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [tuple(cpus[slot::width] or cpus[slot % len(cpus) :][:1]) if cpus else () for slot in range(width)]


def usable_gpus() -> list[Gpu]:
    """Return the GPUs that jobs may use: those of CUDA_VISIBLE_DEVICES, or all on which nobody computes.

    Raises LaunchError where somebody computes on each of them, and where CUDA_VISIBLE_DEVICES names one twice or one
    that does not exist.
    """
    gpus: list[list[str]] = []  # the UUID of each, followed by those of its MIG devices
    for kind, uuid in (match.groups() for line in _nvidia_smi("-L") if (match := _DEVICE.match(line))):
        gpus = [*gpus, [uuid]] if kind == "GPU" else [*gpus[:-1], [*gpus[-1], uuid]]
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:  # CUDA ignores what follows a word that is no device
        words = takewhile(lambda word: word not in ("", "-1", "NoDevFiles"), map(str.strip, named.split(",")))
        named_gpus = [Gpu(word, _id(word, gpus)) for word in words]
        _refuse_unknown(named_gpus, gpus)
        return named_gpus
    if not gpus:
        indices = (file.name[6:] for file in Path("/dev").glob("nvidia[0-9]*"))
        return [Gpu(index, index) for index in sorted(indices, key=int)]
    devices = [device for gpu in gpus for device in gpu[1:] or gpu]
    busy = set(_nvidia_smi("--query-compute-apps=gpu_uuid", "--format=csv,noheader"))
    if busy.issuperset(devices):
        fix = "Wait, or name those to use all the same: CUDA_VISIBLE_DEVICES=0,1"
        raise LaunchError(describe("GPUs", ", ".join(devices), "other processes compute on all of them", fix=fix))
    return [Gpu(device, device) for device in devices if device not in busy]


def _refuse_unknown(found: list[Gpu], gpus: list[list[str]]) -> None:
    """Refuse names for which CUDA would show a job no GPU at all, so that it would compute on the CPU."""
    known = {uuid for gpu in gpus for uuid in gpu}
    for number, gpu in enumerate(found):
        twice = gpu.id in {earlier.id for earlier in found[:number]}
        if twice or (known and gpu.id not in known):
            problem = "it is named twice" if twice else "there is no such GPU"
            allowed = f"0 to {len(gpus) - 1}, or a UUID of nvidia-smi -L" if gpus else "each GPU once"
            raise LaunchError(describe("CUDA_VISIBLE_DEVICES", gpu.name, problem, allowed=allowed))


def _id(name: str, gpus: list[list[str]]) -> str:
    if name.isdecimal():
        return gpus[int(name)][0] if int(name) < len(gpus) else name
    return next((uuid for gpu in gpus for uuid in gpu if uuid.startswith(name)), name)


def _nvidia_smi(*arguments: str) -> list[str]:
    """Return the lines of nvidia-smi; none where it is missing or fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()
    return []
