"""What this machine has, as far as that can be told without a model library."""

from __future__ import annotations

import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GPUS = Path("/proc/driver/nvidia/gpus")


def memory_here() -> float:
    """Return this machine's memory in GiB, or the container's where it has less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # psutil takes long to import, for every plan
    limit = _LIMIT.read_text().strip() if _LIMIT.is_file() else "max"
    return round((total if limit == "max" else min(total, int(limit))) / 2**30, 1)


def has_gpu() -> bool:
    """Say whether the driver of an NVIDIA GPU is loaded."""
    return _GPUS.is_dir()
