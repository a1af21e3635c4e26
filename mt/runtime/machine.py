"""What this machine has, found out without a model library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def memory_here() -> float:
    """Return this machine's memory in GiB, or what the process's cgroups (a container, a job) leave of it."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]  # psutil takes long to import, for every plan
    for folder in cgroups("memory"):
        for file in (folder / "memory.max", folder / "memory.limit_in_bytes"):  # of version 2, of version 1
            if file.is_file() and (limit := file.read_text().strip()) != "max":
                limits.append(int(limit))
    return round(min(limits) / 2**30, 1)


def cgroups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups in which a controller ("cpu") has its limits, up to the root's.

    A container may have its own cgroup as the root, and a path that is not there.
    """
    for line in OWN_CGROUPS.read_text().splitlines() if OWN_CGROUPS.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):  # version 2, or 1
            top = CGROUPS / controllers
            folder = top / path.lstrip("/")
            yield from (one for one in (folder, *folder.parents) if one.is_relative_to(top))
