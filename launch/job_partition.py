"""Partition the plans of a sweep into jobs: one job computes what several runs share, the others start after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Literal, Protocol

Resource = Literal["gpu", "cpu", "network"]


class PlannedStage(Protocol):
    """What the partition reads of a stage."""

    @property
    def key(self) -> str:
        """The hash that names the artifact."""
        ...

    @property
    def NEEDS(self) -> str:
        """What the stage runs on: "cpu", "gpu" or "network"."""
        ...

    def inputs(self) -> Sequence[PlannedStage]:
        """Return the stages whose artifacts this one reads."""
        ...


@dataclass(frozen=True)
class Job:
    """Stages that one process computes, one after another."""

    name: str
    resource: Resource
    """A job holds GPUs if any of its stages needs one; judging over the network never does."""
    stages: tuple[str, ...]
    """Keys, inputs before their users."""
    runs: tuple[str, ...]
    """The runs that need these stages."""
    after: tuple[str, ...]
    """The jobs that must succeed before this one starts (without those that follow from others)."""
    records: tuple[str, ...]
    """The runs that are complete when this job ends: it writes their records."""
    cost: float
    """How long it takes, roughly: 1 for each stage that needs a GPU or the network, little for the others."""


def partition_into_jobs(runs: Mapping[str, Sequence[PlannedStage]], *, share: bool) -> list[Job]:
    """Return the jobs that compute the missing stages of each run, dependencies before their users.

    `runs` maps a run's name to its missing stages in an order in which they can run. With `share`, every stage
    belongs to exactly one job; otherwise each run is one job, and the store's locks guard what several compute.
    """
    if not share:
        return [
            Job(name, _resource(stages), tuple(one.key for one in stages), (name,), (), (name,), _cost(stages))
            for name, stages in runs.items()
        ]
    return _named(_with_records(_shared(runs), runs))


def ancestors(jobs: Iterable[Job]) -> dict[str, frozenset[str]]:
    """Return for every job (dependencies first) the names of all jobs that end before it starts."""
    found: dict[str, frozenset[str]] = {}
    for job in jobs:
        found[job.name] = frozenset(job.after).union(*(found[name] for name in job.after))
    return found


def _resource(stages: Iterable[PlannedStage]) -> Resource:
    needs = {stage.NEEDS for stage in stages}
    if "gpu" in needs:
        return "gpu"
    return "network" if "network" in needs else "cpu"


def _cost(stages: Iterable[PlannedStage]) -> float:
    return sum((0.05 if stage.NEEDS == "cpu" else 1.0 for stage in stages), start=0.1)


_Group = tuple[tuple[str, ...], bool, int]
"""The runs that need a stage, whether it works over the network, and its phase."""


def _shared(runs: Mapping[str, Sequence[PlannedStage]]) -> list[Job]:
    """Group stages that the same runs need, and order the groups; job names are placeholders.

    An input is needed by every run that needs its user, so that between groups of different runs edges lead from
    more runs to fewer. Among stages of the same runs the phase grows where local and network stages alternate.
    Groups therefore never wait for each other in a circle.
    """
    nodes: dict[str, PlannedStage] = {}
    users: dict[str, tuple[str, ...]] = {}
    for name, stages in runs.items():
        for node in stages:
            nodes[node.key] = node
            users[node.key] = (*users.get(node.key, ()), name)
    members: dict[_Group, list[PlannedStage]] = {}
    for key, group in _groups(nodes, users).items():
        members.setdefault(group, []).append(nodes[key])
    group_of = {node.key: group for group, stages in members.items() for node in stages}
    after = {
        group: {group_of[up.key] for node in stages for up in node.inputs() if up.key in group_of} - {group}
        for group, stages in members.items()
    }
    names = {group: f"#{index}" for index, group in enumerate(members)}
    jobs = [
        Job(
            name=names[group],
            resource=_resource(stages),
            stages=tuple(node.key for node in stages),
            runs=group[0],
            after=tuple(names[other] for other in after[group]),
            records=(),
            cost=_cost(stages),
        )
        for group, stages in members.items()
    ]
    jobs = _sorted(jobs)
    before = ancestors(jobs)
    return [replace(job, after=_nearest(job.after, before)) for job in jobs]


def _groups(nodes: Mapping[str, PlannedStage], users: Mapping[str, tuple[str, ...]]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for key, node in nodes.items():
        remote = node.NEEDS == "network"
        near = [groups[up.key] for up in node.inputs() if up.key in groups and users[up.key] == users[key]]
        phase = max((group[2] + (group[1] != remote) for group in near), default=0)
        groups[key] = (users[key], remote, phase)
    return groups


def _sorted(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with dependencies first, otherwise in their present order."""
    waiting, placed, order = list(jobs), set[str](), list[Job]()
    while waiting:
        ready = [job for job in waiting if placed.issuperset(job.after)]
        order += ready
        placed.update(job.name for job in ready)
        waiting = [job for job in waiting if job.name not in placed]
    return order


def _nearest(names: Iterable[str], before: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the jobs that no other of them waits for: dependencies that follow from others are left out."""
    names = list(names)
    implied = frozenset[str]().union(*(before[name] for name in names))
    return tuple(sorted(name for name in names if name not in implied))


def _with_records(jobs: list[Job], runs: Iterable[str]) -> list[Job]:
    """Give every run's record to the job that ends last for it, or to a small job of its own after several."""
    before = ancestors(jobs)
    records: dict[str, list[str]] = {}
    closing: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        last = _nearest((job.name for job in jobs if run in job.runs), before)
        if len(last) == 1:
            records.setdefault(last[0], []).append(run)
        else:
            closing.setdefault(last, []).append(run)
    jobs = [replace(job, records=tuple(records.get(job.name, ()))) for job in jobs]
    ends = [
        Job(f"#end{index}", "cpu", (), tuple(names), after, tuple(names), _cost(()))
        for index, (after, names) in enumerate(closing.items())
    ]
    return jobs + ends


def _named(jobs: Sequence[Job]) -> list[Job]:
    """Name jobs after their run or "shared-<n>"; network jobs end in "-judge", closing ones in "-record"."""
    names: dict[str, str] = {}
    shared = {runs: index + 1 for index, runs in enumerate(dict.fromkeys(j.runs for j in jobs if len(j.runs) > 1))}
    for job in jobs:
        stem = job.runs[0] if len(job.runs) == 1 else f"shared-{shared[job.runs]}"
        stem += "-record" if not job.stages else "-judge" if job.resource == "network" else ""
        numbered = (f"{stem}-{number}" for number in count(2))
        names[job.name] = next(name for name in chain([stem], numbered) if name not in names.values())
    return [replace(job, name=names[job.name], after=tuple(names[name] for name in job.after)) for job in jobs]
