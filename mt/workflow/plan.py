"""A plan: the stages that some targets need, in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from mt.workflow.position import EVALUATION, Position
from mt.workflow.stage import External, Stage


class PublishedArtifacts(Protocol):
    """What a plan asks of a store."""

    def has(self, stage: Stage) -> bool:
        """Say whether the stage's artifact is published."""
        ...

    def stopped(self, stage: Stage) -> bool:
        """Say whether a deciding stage is published and has stopped the run."""
        ...


@dataclass(frozen=True)
class Plan:
    """Stages in topological order; `positions` say where in the method a stage belongs (by key)."""

    order: list[Stage]
    targets: list[Stage]
    positions: Mapping[str, Position] = field(default_factory=dict)

    def position(self, stage: Stage) -> Position:
        """Return where in the method the stage belongs."""
        return self.positions.get(stage.key, Position())

    def missing(self, artifacts: PublishedArtifacts) -> list[Stage]:
        """Return the stages that have to run, in order: absent targets and what they need that is absent.

        What a stopped decision makes unnecessary is no target any more.
        """
        wanted = {target.key for target in self.targets} - self.unneeded(artifacts)
        absent: set[str] = set()
        for stage in reversed(self.order):
            if stage.key in wanted and not isinstance(stage, External) and not artifacts.has(stage):
                absent.add(stage.key)
                wanted.update(upstream.key for upstream in stage.inputs())
        return [stage for stage in self.order if stage.key in absent]

    def unneeded(self, artifacts: PublishedArtifacts) -> set[str]:
        """Return the keys of what need not exist: whatever waits for a decision that has stopped the run."""
        stopped = {stage.key for stage in self.order if stage.DECIDES and artifacts.stopped(stage)}
        if not stopped:
            return set()
        return {key for key, decisions in self.decisions.items() if not stopped.isdisjoint(decisions)}

    @cached_property
    def decisions(self) -> dict[str, frozenset[str]]:
        """The decisions that each stage waits for, by key: those among its ancestors.

        The evaluation of what a decision chose does not wait for it: the policy that is kept is measured, too.
        """
        deciding = {stage.key: self.position(stage) for stage in self.order if stage.DECIDES}
        found: dict[str, frozenset[str]] = {}
        for stage in self.order if deciding else ():
            place, inputs = self.position(stage), [one.key for one in stage.inputs()]
            evaluated = {key for key, chosen in deciding.items() if place == replace(chosen, step=EVALUATION, model="")}
            own = frozenset(key for key in inputs if key in deciding) - evaluated
            found[stage.key] = own.union(*(found[key] for key in inputs))
        return found

    def reaching_out(self, artifacts: PublishedArtifacts) -> list[Stage]:
        """Return the missing stages, and what they read outside the store, that name something in `outside`."""
        missing = self.missing(artifacts)
        asked = {stage.key for stage in missing}
        asked |= {one.key for stage in missing for one in stage.inputs() if isinstance(one, External)}
        return [stage for stage in self.order if stage.key in asked and stage.outside() is not None]


def plan(targets: Iterable[Stage], positions: Mapping[str, Position] | None = None) -> Plan:
    """Return the plan of everything that the targets reach, each key once, inputs before their users."""
    targets = list(targets)
    order: dict[str, Stage] = {}
    stack = [(target, False) for target in reversed(targets)]
    while stack:  # no recursion: long chains would exhaust Python's own stack
        stage, expanded = stack.pop()
        if stage.key in order:
            continue
        if expanded:
            order[stage.key] = stage
        else:
            stack.append((stage, True))
            stack.extend((upstream, False) for upstream in reversed(stage.inputs()))
    return Plan(list(order.values()), targets, dict(positions or {}))


def merge(plans: Iterable[Plan]) -> Plan:
    """Return the union of plans by key: what several runs share appears once (its first position stays)."""
    plans = list(plans)
    positions: dict[str, Position] = {}
    for one in plans:
        positions.update((key, place) for key, place in one.positions.items() if key not in positions)
    targets = {target.key: target for one in plans for target in one.targets}
    return plan(targets.values(), positions)
