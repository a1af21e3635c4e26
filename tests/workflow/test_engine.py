"""The execution's one open engine: who shares it, when it is closed, and an order that opens few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mt.workflow.engine import in_order_of_engines
from mt.workflow.execute import execute
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.volume import Use
from mt.workflow.work import NullObserver, Work, engine_key

EVENTS: list[str] = []


@dataclass(frozen=True)
class Settings:
    """An engine's settings; it tells when a model is opened and closed."""

    name: str

    @contextmanager
    def open(self, folder: Path, template: Any) -> Iterator[str]:
        EVENTS.append(f"open {self.name} {(folder / 'label').read_text()}")
        yield f"{self.name} of {folder.name}"
        EVENTS.append(f"close {self.name}")

    def identity(self) -> dict[str, str]:
        return {"name": self.name}


@dataclass(frozen=True, eq=False)
class Model(Stage):
    """Trained on a GPU, without an engine."""

    NEEDS: ClassVar[str] = "gpu"
    label: str
    after: tuple[Stage, ...] = ()

    def run(self, work: Work) -> None:
        EVENTS.append(f"train {self.label}")
        (work.folder / "label").write_text(self.label)


@dataclass(frozen=True, eq=False)
class Ask(Stage):
    """Asks a model."""

    NEEDS: ClassVar[str] = "gpu"
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"settings"})
    label: str
    model: Stage
    settings: Settings
    after: tuple[Stage, ...] = ()
    fails: bool = False
    longest: int = 0

    @property
    def opens(self) -> str:
        return engine_key(self.settings, self.model, None)

    def use(self) -> Use:
        return Use("generate", self.model, self.settings, "generator", sequence=self.longest)

    def run(self, work: Work) -> None:
        assert work.engine(self.settings, self.model, None) == f"{self.settings.name} of {work.path(self.model).name}"
        EVENTS.append(f"ask {self.label}")
        if self.fails:
            raise ValueError("on purpose")


@dataclass(frozen=True, eq=False)
class Count(Stage):
    """Needs no GPU."""

    label: str
    after: tuple[Stage, ...] = field(default=())

    def run(self, work: Work) -> None:
        EVENTS.append(f"count {self.label}")


SAMPLER = Settings("sampler")


@pytest.fixture(autouse=True)
def fresh() -> None:
    EVENTS.clear()


def test_stages_of_one_model_follow_each_other_on_one_load(tmp_path: Path) -> None:
    """Between them a stage without a GPU; before a training, and before another model, the engine is closed."""
    base = Model("base")
    first = Ask("one", base, SAMPLER)
    counted = Count("pairs", (first,))
    trained = Model("trained", (counted,))
    targets = [trained, Ask("other", trained, SAMPLER), Ask("two", base, SAMPLER, (counted,))]
    execute(plan(targets), Store(tmp_path), NullObserver())
    assert EVENTS == [
        "train base",
        "open sampler base", "ask one", "count pairs", "ask two", "close sampler",
        "train trained",
        "open sampler trained", "ask other", "close sampler",
    ]  # fmt: skip


def test_other_settings_are_another_engine(tmp_path: Path) -> None:
    base = Model("base")
    targets = [Ask("a", base, SAMPLER), Ask("b", base, Settings("scorer")), Ask("c", base, SAMPLER)]
    execute(plan(targets), Store(tmp_path), NullObserver())
    assert [event for event in EVENTS if event.startswith("open")] == ["open sampler base", "open scorer base"]


def test_an_engine_starts_with_room_for_the_longest_sequences_that_it_is_asked_for() -> None:
    base, other = Model("base"), Model("other")
    asks = [Ask("a", base, SAMPLER, longest=2), Ask("b", other, SAMPLER, longest=4), Ask("c", base, SAMPLER, longest=8)]
    order = in_order_of_engines([base, other, *asks, Ask("d", base, SAMPLER, longest=2)])
    assert [stage.label for stage in order if isinstance(stage, Ask)] == ["c", "a", "d", "b"]


def test_an_engine_is_closed_when_a_stage_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        execute(plan([Ask("a", Model("base"), SAMPLER, fails=True)]), Store(tmp_path), NullObserver())
    assert EVENTS[-1] == "close sampler"


def test_the_order_keeps_inputs_first(tmp_path: Path) -> None:
    base, other = Model("base"), Model("other")
    asks = [Ask(str(number), (base, other)[number % 2], SAMPLER) for number in range(6)]
    chained = [Ask("last", base, SAMPLER, (asks[5],)), Count("end", tuple(asks))]
    order = in_order_of_engines(plan(chained).order)
    place = {stage.key: number for number, stage in enumerate(order)}
    assert len(place) == 10
    assert all(place[one.key] < place[stage.key] for stage in order for one in stage.inputs())
    opened = [stage.opens for stage in order if stage.opens]
    assert sum(before != after for before, after in zip([None, *opened], opened, strict=False)) == 2
