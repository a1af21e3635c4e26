"""What a running stage gets: its inputs, its output folder, and the observer that it reports to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter

from mt.errors import StoreError, first_line
from mt.runtime.jsonl import JsonLines
from mt.runtime.text import parse_json
from mt.types import Metric
from mt.workflow.engine import OpenEngine
from mt.workflow.position import Position
from mt.workflow.stage import Stage
from mt.workflow.store import ARTIFACT, DECISION, Store, write_json

Row = TypeVar("Row")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
TABLE = "table.parquet"
METRICS, ITEMS, DRAWS = "metrics.json", "items.json", "draws.json"
CURVES = "curves.jsonl"
BESIDE_MODEL = frozenset({ARTIFACT, DECISION, METRICS, ITEMS, DRAWS, CURVES})
"""Files that an artifact may hold beside a model's own."""
_METRICS = TypeAdapter(list[Metric])


class Opens(Protocol[T_co]):
    """Settings of an engine that can open a model."""

    def open(self, folder: Path, template: Any) -> AbstractContextManager[T_co]:
        """Open the model in a folder for the length of a block."""
        ...


def engine_key(settings: Opens[Any], model: Stage, template: Any) -> str:
    """Return what names an open engine: its settings, its model, and how that one's template is rendered."""
    return f"{settings!r} {model.key} {template!r}"


class Observer(Protocol):
    """Follows an execution: the display, the record, the tracker."""

    def planned(self, order: list[Stage], missing: list[Stage], positions: Mapping[str, Position]) -> None:
        """Execution is about to begin."""

    def unneeded(self, stages: list[Stage]) -> None:
        """A decision has made stages unnecessary that were to be computed."""

    def inspecting(self, stage: Stage) -> None:
        """Seconds are spent to see whether a stage can succeed, or what it reads can serve."""

    def started(self, stage: Stage) -> None:
        """A stage begins to compute."""

    def waiting(self, stage: Stage, owner: str) -> None:
        """Another process computes the stage; we wait for it."""

    def progress(self, stage: Stage, done: float, total: float, unit: str, numbers: dict[str, float]) -> None:
        """A running stage got on."""

    def curve(self, stage: Stage, step: int, metrics: dict[str, float]) -> None:
        """A training stage reports a step."""

    def note(self, stage: Stage | None, text: str) -> None:
        """The user should know this."""

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """A stage's artifact is there; `facts` is None when it was reused."""

    def failed(self, stage: Stage, error: BaseException) -> None:
        """A stage failed."""


class NullObserver:
    """An observer that does nothing; others override what they care about."""

    def _ignore(self, *arguments: Any, **named: Any) -> None:
        """Do nothing."""

    planned = unneeded = inspecting = started = waiting = progress = curve = note = finished = failed = _ignore


@dataclass
class Work:
    """Handed to `Stage.run`: read inputs by stage, write into `folder`, report progress and counts."""

    stage: Stage
    store: Store
    folder: Path
    scratch: Path
    observer: Observer
    command: str = ""
    """The folder of the run or sweep that this is computed for, and that pays for it."""
    engines: OpenEngine = field(default_factory=OpenEngine)
    """The engine that is open, the execution's own."""
    counts: dict[str, float] = field(default_factory=dict)

    def path(self, stage: Stage) -> Path:
        """Return the verified folder of an input; raises StoreError when it is damaged."""
        return self.store.verified(stage)

    def engine(self, settings: Opens[T], model: Stage, template: Any) -> T:
        """Return the model opened by an engine: the one that is open already where it is the same."""
        key = engine_key(settings, model, template)
        return self.engines.get(key, lambda: settings.open(self.path(model), template))

    def rows(self, row_type: type[Row], stage: Stage) -> list[Row]:
        """Return the rows of an input table."""
        from mt.workflow import tables

        return tables.read(self.path(stage) / TABLE, row_type)

    def write(self, rows: Sequence[Row], row_type: type[Row]) -> None:
        """Write the output table."""
        from mt.workflow import tables

        tables.write(self.folder / TABLE, rows, row_type)

    def write_metrics(self, metrics: Sequence[Metric]) -> None:
        """Write the output's metrics."""
        write_json(self.folder / METRICS, [asdict(metric) for metric in metrics])

    def write_items(self, items: Mapping[str, Mapping[str, float]]) -> None:
        """Write the values that metrics are the means of: item by item (prompts, pairs), for each metric's name."""
        write_json(self.folder / ITEMS, {name: dict(values) for name, values in items.items()})

    def write_draws(self, draws: Mapping[str, Sequence[float]]) -> None:
        """Write bootstrap draws of metrics that are no means; equal positions resample the same items."""
        write_json(self.folder / DRAWS, {name: [round(one, 6) for one in values] for name, values in draws.items()})

    def progress(self, done: float, total: float, unit: str = "", **numbers: float) -> None:
        """Say how far the stage is."""
        self.observer.progress(self.stage, done, total, unit, numbers)

    def count(self, **numbers: float) -> None:
        """Record counts (tokens, dropped, truncated …) beside the artifact."""
        self.counts.update(numbers)

    def curve(self, step: int, **metrics: float) -> None:
        """Record one step of a training curve; it survives a kill, and a repeated step replaces the first."""
        with JsonLines[Any](self.scratch / CURVES) as lines:
            lines.append({"step": step, **metrics})
        self.observer.curve(self.stage, step, metrics)

    def publish_curves(self) -> None:
        """Move the curves, each step once, into the output."""
        rows = JsonLines[dict[str, float]](self.scratch / CURVES, dict[str, int | float]).read()
        steps = {row["step"]: row for row in rows if "step" in row}
        if steps:
            JsonLines[Any](self.folder / CURVES).append(*(steps[step] for step in sorted(steps)))

    def note(self, text: str) -> None:
        """Show the user a note."""
        self.observer.note(self.stage, text)


def stored_rows(store: Store, stage: Stage | None, row_type: type[Row]) -> list[Row]:
    """Return the rows of a stage's table; none where there is no such stage."""
    from mt.workflow import tables

    return [] if stage is None else tables.read(store.path(stage) / TABLE, row_type)


def read_items(folder: Path) -> dict[str, dict[str, float]]:
    """Return the values that an artifact's metrics are the means of, by metric and item; none where it keeps none."""
    path = folder / ITEMS
    found: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def read_draws(folder: Path) -> dict[str, list[float]]:
    """Return the bootstrap draws of an artifact's metrics; none where it keeps none."""
    path = folder / DRAWS
    found: dict[str, list[float]] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def read_metrics(folder: Path) -> list[Metric]:
    """Return the metrics of an artifact; raises StoreError where they are damaged."""
    try:
        return _METRICS.validate_python(parse_json((folder / METRICS).read_bytes()))
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / METRICS}: damaged ({first_line(error)})") from None
