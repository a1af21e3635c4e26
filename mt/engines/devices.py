"""Where the engines compute: device, precision and CPU threads, chosen by what is free unless the user says."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mt.errors import ConfigError, describe, nearest

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
_MANY = 100_000  # objects: more than a model has, fewer than the libraries
_WATCH_S = 0.1  # long enough for the kernel's 10 ms ticks to tell a busy core from an idle one


def choose_device(wanted: str) -> torch.device:
    """Return the device named `auto` (the first GPU, or the CPU), `cpu`, `cuda` or `cuda:<index>`."""
    import torch

    gpus = torch.cuda.device_count()
    if wanted == "auto":
        return torch.device("cuda:0" if gpus else "cpu")
    allowed = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    if wanted not in allowed:
        names = ", ".join(["auto", *allowed])
        problem = "no such device on this machine" if wanted.startswith("cuda") else "not a device"
        raise ConfigError(describe("device", wanted, problem, allowed=names, mend="Set device=auto"))
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
    """Let torch compute with `wanted` CPU threads (None: as many as cores are free) inside the block."""
    import torch

    before = torch.get_num_threads()
    chosen = wanted or free_cores()
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


def free_cores() -> int:
    """Return how many physical cores of this process's share are idle now, at least one.

    Two threads on one free core are far slower than one: each waits for the other at every barrier.
    """
    return max(1, round(_own_cores() - _busy_elsewhere()))


def _own_cores() -> float:
    """Return the physical cores that affinity and the container's quota leave to this process."""
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    return min(usable * physical / logical, _quota())


def _quota() -> float:
    """Return the container's CPU quota in cores (infinite where there is none)."""
    limit = Path("/sys/fs/cgroup/cpu.max")
    if not limit.is_file():
        return float("inf")
    quota, period = limit.read_text().split()
    return float("inf") if quota == "max" else int(quota) / int(period)


def _busy_elsewhere() -> float:
    """Return how many cores other processes keep busy, watched for a moment in which this one sleeps."""
    before, start = psutil.cpu_times(), time.monotonic()
    time.sleep(_WATCH_S)
    after, seconds = psutil.cpu_times(), time.monotonic() - start
    busy = sum(getattr(after, kind) - getattr(before, kind) for kind in ("user", "system", "nice"))
    return max(0.0, busy / seconds)
