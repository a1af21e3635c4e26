"""A run at its tracker: stages and curves as they come, metrics and samples once they are there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mt.methods.outcome import Iteration
from mt.running.record import Record
from mt.stages.select import SelectDemonstrations
from mt.tracking import open_tracker
from mt.tracking.base import MetricRow, RunInfo, Tracker
from mt.tracking.observer import TrackingObserver
from mt.tracking.samples import sample_rows
from mt.tracking.settings import WandbTracking
from mt.types import Metric, Pair, Rewards, Samples
from mt.workflow.run_record import RECORD
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store
from mt.workflow.work import TABLE, Observer, Row, read_metrics


@contextmanager
def mirrored(record: Record, say: Callable[[str], None]) -> Iterator[list[Observer]]:
    """Track a run while the block lasts, and yield the observers of its stages.

    At the end what other jobs computed is sent to the tracker, too. The first failure of the tracker is reported;
    none changes the run.
    """
    facts, config = record.facts, record.blueprint.config
    tracker = open_tracker(config.tracking, say)
    tracker.start(RunInfo(facts["name"], record.folder, facts["config"], facts["sweep"], config.method.name))
    if tracker.link is None:
        yield []
        return
    mirror = _Harmless(_Mirror(tracker, record), say)
    try:
        yield [mirror]
    finally:
        mirror.catch_up()
        ended = _on_disk(record)
        tracker.summary([_row(one) for one in ended["metrics"]])
        tracker.finish(ended["state"], record.folder / RECORD)


class _Harmless:
    """An observer whose first failure is reported, and none of whose failures stops the run."""

    def __init__(self, observer: _Mirror, say: Callable[[str], None]) -> None:
        self.observer, self.say, self.failed_once = observer, say, False

    def __getattr__(self, name: str) -> Any:
        def tell(*arguments: Any) -> None:
            try:
                getattr(self.observer, name)(*arguments)
            except Exception as error:  # of any kind: the run goes on
                if not self.failed_once:
                    self.failed_once = True
                    self.say(f"tracking failed ({type(error).__name__}: {error}); the run's record is complete")

        return tell


class _Mirror(TrackingObserver):
    """Shows stages and curves; reports what was measured, and shows samples, as soon as they are there."""

    def __init__(self, tracker: Tracker, record: Record) -> None:
        super().__init__(tracker, record.store, record.blueprint.plan)
        tracking = record.blueprint.config.tracking
        self.prompts = tracking.sample_prompts if isinstance(tracking, WandbTracking) else 0
        self.evaluations: dict[str, list[tuple[int, str]]] = {}
        for one in record.blueprint.evaluations:
            self.evaluations.setdefault(one.stage.key, []).append((one.iteration, one.model))
        iterations = record.blueprint.outcome.iterations
        self.selected = {one.selected.key: one for one in iterations if one.selected is not None and _is_shown(one)}
        self._told: set[str] = set()

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Tell of a stage, and read its result where it is one to show."""
        self._told.add(stage.key)
        super().finished(stage, facts)
        for iteration, model in self.evaluations.get(stage.key, []):
            metrics = read_metrics(self.store.path(stage))
            self.tracker.log([MetricRow(iteration, model, metric) for metric in metrics])
        if self.prompts and stage.key in self.selected:
            self._show(self.selected[stage.key])

    def catch_up(self) -> None:
        """Tell of every stage that is there and that this process did not see."""
        for stage in self.plan.order:
            if stage.key not in self._told and not isinstance(stage, External) and self.store.has(stage):
                self.finished(stage, None)

    def _show(self, one: Iteration) -> None:
        samples, rewards = _rows(self.store, one.samples, Samples), _rows(self.store, one.rewards, Rewards)
        pairs = _rows(self.store, one.selected, Pair)
        self.tracker.samples(one.index, sample_rows(samples, rewards, pairs, self.prompts))


def _is_shown(one: Iteration) -> bool:
    """Say whether an iteration selected pairs from responses and rewards that it holds."""
    return None not in (one.samples, one.rewards) and not isinstance(one.selected, SelectDemonstrations)


def _rows(store: Store, stage: Stage | None, row_type: type[Row]) -> list[Row]:
    from mt.workflow import tables  # late: planning needs no Parquet

    return tables.read(store.path(stage) / TABLE, row_type) if stage is not None else []


def _on_disk(record: Record) -> dict[str, Any]:
    """Return the facts as they were last written, by whichever process wrote them."""
    try:
        facts: dict[str, Any] = json.loads((record.folder / RECORD).read_text())
    except FileNotFoundError:
        return record.facts
    return facts


def _row(one: dict[str, Any]) -> MetricRow:
    metric = Metric(**{name: value for name, value in one.items() if name not in ("iteration", "model")})
    return MetricRow(one["iteration"], one["model"], metric)
