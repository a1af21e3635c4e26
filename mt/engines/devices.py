"""Where the engines compute: device, precision and CPU threads, by what the process may use unless the user says."""

from __future__ import annotations

import gc
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mt.errors import ConfigError, MissingDeviceError, describe, nearest
from mt.runtime.machine import cgroups

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
_MANY = 100_000  # objects: more than a model has, fewer than the libraries


def choose_device(wanted: str, field: str = "device") -> torch.device:
    """Return the device named `auto` (the first GPU, or the CPU), `cpu`, `cuda` or `cuda:<index>`.

    Raises ConfigError, naming the setting `field`, for any other name and for a device that does not exist here.
    """
    import torch

    gpus = torch.cuda.device_count()
    if wanted == "auto":
        return torch.device("cuda:0" if gpus else "cpu")
    allowed = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    if wanted not in allowed:
        names = ", ".join(["auto", *allowed])
        if re.fullmatch(r"cuda(:\d+)?", wanted):
            problem = "no such device on this machine"
            raise MissingDeviceError(describe(field, wanted, problem, allowed=names, fix=f"Set {field}=auto"))
        raise ConfigError(describe(field, wanted, "not a device", allowed=names, fix=f"Set {field}=auto"))
    return torch.device("cuda:0" if wanted == "cuda" else wanted)


def choose_dtype(wanted: str) -> torch.dtype:
    """Return torch's dtype of that name."""
    import torch

    if wanted not in DTYPES:
        hint = nearest(wanted, DTYPES)
        raise ConfigError(describe("dtype", wanted, f"not a precision.{hint}", allowed=", ".join(DTYPES)))
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


@contextmanager
def cpu_threads(wanted: int | None) -> Iterator[int]:
    """Let torch compute with `wanted` CPU threads (None: one for each of its cores) inside the block."""
    import torch

    before = torch.get_num_threads()
    chosen = wanted or own_cores()
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


def release() -> None:
    """Give the memory of models that nobody refers to any more back to the device."""
    import torch

    gc.collect()
    if len(gc.get_objects()) > _MANY:  # at first, and again after training, which thaws what it froze
        gc.freeze()  # imported libraries' half million objects, which cost every collection 0.4 s
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def own_cores() -> int:
    """Return the physical cores that this process may use by its affinity, its cgroups and OMP_NUM_THREADS.

    What other processes do now says nothing of the hours to come: who starts several side by side binds each to CPUs.
    """
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    limits = [usable * physical / logical, _quota(), *([int(wanted)] if wanted.isdecimal() else [])]
    return max(1, round(min(limits)))


def _quota() -> float:
    """Return the CPU quota of this process's cgroups in cores: the lowest from its own to the root's."""
    return min(map(_cores, cgroups("cpu")), default=math.inf)


def _cores(cgroup: Path) -> float:
    """Return the quota of one cgroup, of version 2 or 1."""
    if (file := cgroup / "cpu.max").is_file():
        quota, period = file.read_text().split()
    elif (file := cgroup / "cpu.cfs_quota_us").is_file():
        quota, period = file.read_text(), (cgroup / "cpu.cfs_period_us").read_text()
    else:
        return math.inf
    return math.inf if quota.strip() in ("max", "-1") else int(quota) / int(period)
