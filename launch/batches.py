"""Group jobs for submission: jobs that wait for the same go together, and no more than `width` ever run at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from launch.job_partition import Job


@dataclass(frozen=True)
class JobBatch:
    """Jobs that are submitted as one array: same resources, same dependencies."""

    jobs: tuple[Job, ...]
    slot: int | None
    """Jobs of one slot run one after another; None where the batch needs no slot."""
    width: int
    """How many of the batch run at the same time."""


def batches(jobs: Sequence[Job], width: int) -> list[JobBatch]:
    """Return the jobs (dependencies first) in batches, dependencies first, at most `width` jobs running at once.

    A scheduler throttles one array, not several that wait for each other. Where the limit can bind and one array
    does not hold everything, jobs are dealt to `width` slots, each of which runs one job at a time.
    """
    free = _grouped(jobs, [None] * len(jobs), width)
    if len(jobs) <= width or len(free) == 1:
        return free
    return _grouped(jobs, _slots(jobs, width), 1)


def _grouped(jobs: Sequence[Job], slots: Sequence[int | None], width: int) -> list[JobBatch]:
    """Group by resources, dependencies and slot, in the order of each group's first job.

    That order has dependencies first: what a group waits for comes before its first job.
    """
    groups: dict[tuple[bool, tuple[str, ...], int | None], list[Job]] = {}
    for job, slot in zip(jobs, slots, strict=True):
        groups.setdefault((job.resource == "gpu", job.after, slot), []).append(job)
    return [JobBatch(tuple(members), slot, width) for (_, _, slot), members in groups.items()]


def _slots(jobs: Sequence[Job], width: int) -> list[int]:
    """Deal every job to the slot where it can start first, and among several to the one that idles least."""
    free = [0.0] * width
    ends: dict[str, float] = {}
    dealt = []
    for job in jobs:
        ready = max((ends.get(name, 0.0) for name in job.after), default=0.0)
        slot = min(range(width), key=lambda one: (max(free[one], ready), -free[one]))
        ends[job.name] = free[slot] = max(free[slot], ready) + job.cost
        dealt.append(slot)
    return dealt
