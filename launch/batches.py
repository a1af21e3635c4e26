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
    """Deal the jobs of every level to lanes in equal shares, those that wait for the same side by side.

    A level is what could run at the same time. Neighbours in one lane with the same dependencies make one array, so
    that the number of submissions stays near the number of different dependencies.
    """
    depth: dict[str, int] = {}
    levels: dict[int, dict[tuple[bool, tuple[str, ...]], list[str]]] = {}
    for job in jobs:
        depth[job.name] = 1 + max((depth.get(name, -1) for name in job.after), default=-1)
        alike = levels.setdefault(depth[job.name], {})
        alike.setdefault((job.resource == "gpu", job.after), []).append(job.name)
    lane: dict[str, int] = {}
    for alike in levels.values():
        row = [name for names in alike.values() for name in names]
        lane |= {name: place * width // max(len(row), width) for place, name in enumerate(row)}
    return [lane[job.name] for job in jobs]
