"""A plan: the stages that some targets need, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mt.workflow.stage import External, Stage


class Shelf(Protocol):
    """What a plan asks of a store."""

    def has(self, stage: Stage) -> bool:
        """Say whether the stage's artifact is published."""
        ...


@dataclass(frozen=True)
class Plan:
    """Stages in topological order; `labels` say where in the algorithm a stage belongs (by key)."""

    order: list[Stage]
    targets: list[Stage]
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, stage: Stage) -> str:
        """Return where in the algorithm the stage belongs, such as "iteration 1 · E-step"."""
        return self.labels.get(stage.key, "")

    def missing(self, shelf: Shelf) -> list[Stage]:
        """Return the stages that have to run, in order: absent targets and what they need that is absent."""
        needed: set[str] = set()
        for stage in reversed(self.order):
            wanted = stage.key in needed or any(stage.key == target.key for target in self.targets)
            if isinstance(stage, External) or not wanted:
                continue
            if shelf.has(stage):
                needed.discard(stage.key)
                continue
            needed.add(stage.key)
            needed.update(upstream.key for upstream in stage.inputs())
        return [stage for stage in self.order if stage.key in needed and not isinstance(stage, External)]

    def reaching_out(self, shelf: Shelf) -> list[Stage]:
        """Return the missing stages, and what they read outside the store, that name something in `outside`."""
        missing = self.missing(shelf)
        asked = {stage.key for stage in missing}
        asked |= {one.key for stage in missing for one in stage.inputs() if isinstance(one, External)}
        return [stage for stage in self.order if stage.key in asked and stage.outside() is not None]


def plan(targets: Iterable[Stage], labels: Mapping[str, str] | None = None) -> Plan:
    """Return the plan of everything that the targets reach, each key once, inputs before their users."""
    targets = list(targets)
    order: dict[str, Stage] = {}
    for target in targets:
        _visit(target, order)
    return Plan(list(order.values()), targets, dict(labels or {}))


def merge(plans: Iterable[Plan]) -> Plan:
    """Return the union of plans by key: what several runs share appears once (its first label stays)."""
    plans = list(plans)
    labels: dict[str, str] = {}
    for one in plans:
        labels = {**one.labels, **labels}
    return plan([target for one in plans for target in one.targets], labels)


def _visit(stage: Stage, order: dict[str, Stage]) -> None:
    """Append the stage after its inputs; iterative, so that long chains do not exhaust the stack."""
    stack = [(stage, False)]
    while stack:
        current, expanded = stack.pop()
        if current.key in order:
            continue
        if expanded:
            order[current.key] = current
        else:
            stack.append((current, True))
            stack.extend((upstream, False) for upstream in reversed(current.inputs()))
