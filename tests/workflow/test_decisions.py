"""A decision that stops a run: what waits for it is not needed, and the plan alone says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from mt.workflow.execute import execute
from mt.workflow.plan import merge, plan
from mt.workflow.position import EVALUATION, Position
from mt.workflow.stage import Stage
from mt.workflow.store import DECISION, Store
from mt.workflow.work import NullObserver, Work
from tests.workflow.fakes import Number, Sum


@dataclass(frozen=True, eq=False)
class Decide(Sum):
    """Adds its inputs' numbers, and stops the run where they are too small."""

    DECIDES: ClassVar[bool] = True
    least: int = 0

    def run(self, work: Work) -> None:
        super().run(work)
        (work.folder / DECISION).write_text(json.dumps({"stopped": work.counts["value"] < self.least}))


class Method:
    """Two iterations: in each a training, a decision, a reward model, and evaluations of the policy and of both."""

    def __init__(self, *least: int) -> None:
        """Take the number below which the decision of each iteration stops: they are 11 and 31."""
        policy: Stage = Number(1)
        self.stages: dict[str, Stage] = {}
        positions: dict[str, Position] = {}
        for t, bound in enumerate(least, start=1):
            training = Sum((policy, Number(10 * t)))
            policy = Decide((training,), least=bound)
            reward, held_out = Sum((policy, Number(3))), Sum((policy, Number(4)))
            of_policy, of_both = Sum((held_out, Number(5))), Sum((held_out, reward))
            steps = {"E-step": (training, policy), "M-step": (reward,), EVALUATION: (held_out, of_policy, of_both)}
            for step, stages in steps.items():
                positions |= {stage.key: Position(iteration=t, step=step) for stage in stages}
            made = (training, policy, reward, held_out, of_policy, of_both)
            self.stages |= {f"{name} {t}": stage for name, stage in zip(NAMES, made, strict=True)}
        self.plan = plan(self.stages.values(), positions)

    def names(self, keys: Iterable[str]) -> set[str]:
        """Return the names of the stages that have these keys."""
        return {name for name, stage in self.stages.items() if stage.key in set(keys)}


NAMES = ("training", "policy", "reward", "held_out", "of_policy", "of_both")
SECOND = {f"{name} 2" for name in NAMES}


class Heard(NullObserver):
    def __init__(self) -> None:
        self.computed: list[str] = []
        self.unneeded_: list[str] = []

    def finished(self, stage, facts) -> None:
        if facts is not None:
            self.computed.append(stage.key)

    def unneeded(self, stages) -> None:
        self.unneeded_ += [stage.key for stage in stages]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_decision_that_does_not_stop_leaves_everything_needed(store: Store) -> None:
    method, heard = Method(11, 31), Heard()
    execute(method.plan, store, heard)
    assert set(heard.computed) == {stage.key for stage in method.plan.order}
    assert method.plan.unneeded(store) == set() and heard.unneeded_ == []


def test_what_waits_for_a_stopped_decision_is_not_computed_but_its_own_evaluation_is(store: Store) -> None:
    method, heard = Method(12, 31), Heard()
    assert method.plan.unneeded(store) == set(), "nobody knows yet"
    execute(method.plan, store, heard)
    assert method.names(method.plan.unneeded(store)) == {"reward 1", "of_both 1", *SECOND}
    ran = method.names(set(heard.computed))
    assert ran >= {"training 1", "policy 1", "held_out 1", "of_policy 1"}
    assert ran.isdisjoint({"reward 1", "of_both 1", *SECOND})
    assert method.plan.missing(store) == []
    assert method.names(set(heard.unneeded_)) >= {"reward 1", "of_both 1", *SECOND}
    again = Heard()
    execute(method.plan, store, again)
    assert (again.computed, again.unneeded_) == ([], [])


def test_a_decision_of_the_second_iteration_leaves_the_first_alone(store: Store) -> None:
    method = Method(11, 32)
    execute(method.plan, store, Heard())
    assert method.names(method.plan.unneeded(store)) == {"reward 2", "of_both 2"}


def test_a_merged_plan_knows_the_same(store: Store) -> None:
    stopped, other = Method(12, 31), Method(11, 31)
    merged = merge([stopped.plan, other.plan])
    execute(merged, store, Heard())
    assert merged.unneeded(store) == stopped.plan.unneeded(store)
    assert merged.missing(store) == []
    assert all(store.has(stage) for stage in other.plan.order), "what another run needs was computed"
