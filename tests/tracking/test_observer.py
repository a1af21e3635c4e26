"""Shared stages: shown by one run, linked from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mt.tracking.base import NoTracker, RunLink, TrackedStage
from mt.tracking.observer import TrackingObserver
from mt.tracking.samples import sample_rows
from mt.types import Pair, Response, Rewards, Samples
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import Silent, Work


@dataclass(frozen=True, eq=False)
class Train(Stage):
    """A training of three steps; it fails once, after the first, where the folder says so."""

    seed: int

    def run(self, work: Work) -> None:
        for step in range(3):
            work.curve(step, loss=float(step))
            breaks = work.store.root / "breaks"
            if breaks.exists():
                breaks.unlink()
                raise ValueError("on purpose")


class Told(NoTracker):
    """A tracker that remembers."""

    def __init__(self, name: str) -> None:
        self.link = RunLink("-/paper", f"id-{name}", name)
        self.points: list[tuple[str, int, float]] = []
        self.became: dict[str, tuple[str, str | None]] = {}
        self.named: list[str] = []

    def stages(self, stages: Sequence[TrackedStage]) -> None:
        self.named = [stage.slug for stage in stages]

    def curve(self, stage: TrackedStage, step: int, metrics: Mapping[str, float]) -> None:
        self.points.append((stage.slug, step, metrics["loss"]))

    def stage(self, stage: TrackedStage, state: str, seconds: float | None, logged_by: RunLink | None) -> None:
        self.became[stage.slug] = (state, logged_by.name if logged_by else None)


def run(name: str, store: Store) -> Told:
    told = Told(name)
    stage = Train(1)
    order = plan([stage], {stage.key: "iteration 1 · E-step"})
    execute(order, store, TrackingObserver(told, store, order))
    return told


SLUG = "iteration-01-e-step/train"
POINTS = [(SLUG, 0, 0.0), (SLUG, 1, 1.0), (SLUG, 2, 2.0)]


def test_the_run_that_computes_shows_and_the_next_links(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second, again = run("first", store), run("second", store), run("first", store)
    assert (first.points, first.became) == (POINTS, {SLUG: ("computed", "first")})
    assert (second.points, second.became) == ([], {SLUG: ("reused", "first")})
    assert (again.points, again.became) == ([], {SLUG: ("reused", "first")})
    assert first.named == [SLUG]


def test_what_nobody_tracked_is_shown_by_the_first_that_reuses_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    execute(plan([Train(1)]), store, Silent())
    first, second = run("first", store), run("second", store)
    assert (first.points, first.became) == (POINTS, {SLUG: ("reused", "first")})
    assert (second.points, second.became) == ([], {SLUG: ("reused", "first")})


def test_another_project_shows_it_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run("first", store)
    other = Told("other")
    other.link = RunLink("-/elsewhere", "id-other", "other")
    order = plan([Train(1)])
    execute(order, store, TrackingObserver(other, store, order))
    assert [step for _, step, _ in other.points] == [0, 1, 2]


def test_a_failed_stage_is_told_and_belongs_to_whoever_finishes_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "breaks").touch()
    first = Told("first")
    order = plan([Train(1)])
    with pytest.raises(ValueError, match="on purpose"):
        execute(order, store, TrackingObserver(first, store, order))
    assert first.became == {"train": ("failed", None)}
    assert run("second", store).became == {SLUG: ("computed", "second")}


def test_an_untracked_run_leaves_no_notes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    order = plan([Train(1)])
    execute(order, store, TrackingObserver(NoTracker(), store, order))
    assert not (tmp_path / ".tracked").exists()


def test_samples_show_rewards_and_roles() -> None:
    ask = [{"role": "user", "content": "q"}]
    red, blue, green = (Response(text, 1) for text in ("red", "blue", "green"))
    samples = [Samples("p0", ask, None, [red, red]), Samples("p1", ask, "chat", [red, blue, green])]
    rewards = [Rewards("p0", [0.0, 0.0]), Rewards("p1", [2.0, 1.0, 0.0])]
    rows = sample_rows(samples, rewards, [Pair("p1", ask, "chat", red, green)], 1)
    assert [(row.prompt_id, row.response, row.reward, row.role) for row in rows] == [
        ("p1", "red", 2.0, "chosen"),
        ("p1", "blue", 1.0, ""),
        ("p1", "green", 0.0, "rejected"),
    ]
    assert len(sample_rows(samples, [], [], 2)) == 5
