"""Group jobs for submission: jobs that wait for the same go together, and no more than `width` ever run at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from launch.cut import Job


@dataclass(frozen=True)
class Batch:
    """Jobs that are submitted as one array: same resources, same dependencies."""

    jobs: tuple[Job, ...]
    lane: int | None
    """Jobs of one lane run one after another; None where the batch needs no lane."""
    width: int
    """How many of the batch run at the same time."""


def batches(jobs: Sequence[Job], width: int) -> list[Batch]:
    """Return the jobs (dependencies first) in batches, dependencies first, at most `width` jobs running at once.

    A scheduler throttles one array, not several that wait for each other. Where the limit can bind and one array
    does not hold everything, jobs are dealt to `width` lanes, each of which runs one job at a time.
    """
    free = _grouped(jobs, [None] * len(jobs), width)
    if len(jobs) <= width or len(free) == 1:
        return free
    return _grouped(jobs, _lanes(jobs, width), 1)


def _grouped(jobs: Sequence[Job], lanes: Sequence[int | None], width: int) -> list[Batch]:
    """Group by resources, dependencies and lane, in the order of each group's first job.

    That order has dependencies first: what a group waits for comes before its first job.
    """
    groups: dict[tuple[bool, tuple[str, ...], int | None], list[Job]] = {}
    for job, lane in zip(jobs, lanes, strict=True):
        groups.setdefault((job.resource == "gpu", job.after, lane), []).append(job)
    return [Batch(tuple(members), lane, width) for (_, _, lane), members in groups.items()]


def _lanes(jobs: Sequence[Job], width: int) -> list[int]:
    """Deal every job to the lane where it can start first, and among several to the one that idles least."""
    free = [0.0] * width
    ends: dict[str, float] = {}
    dealt = []
    for job in jobs:
        ready = max((ends.get(name, 0.0) for name in job.after), default=0.0)
        lane = min(range(width), key=lambda one: (max(free[one], ready), -free[one]))
        ends[job.name] = free[lane] = max(free[lane], ready) + job.cost
        dealt.append(lane)
    return dealt
