"""What was measured of a run, and the values behind it, by iteration, model, benchmark and metric."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mt.evaluation.pairing import Difference, paired, resampled, unpaired
from mt.methods.evaluations import Evaluation
from mt.types import Metric
from mt.workflow.store import Store
from mt.workflow.work import read_draws, read_items, read_metrics

MetricKey = tuple[str, str, str]
"""(model, benchmark, metric)."""
REPEATS: Mapping[MetricKey, MetricKey] = {
    ("policy", "proxy", "length"): ("policy", "gold", "length"),
    ("reward", "gold", "mean_of_k"): ("policy", "gold", "mean_reward"),
}
"""Metrics that say in another unit, or of another model, what a second one says: shown where that one is not."""


@dataclass(frozen=True)
class Results:
    """The metrics of one run, each with the folder of the artifact that holds its items."""

    found: Mapping[int, Mapping[MetricKey, tuple[Metric, Path]]]
    _read: dict[tuple[Path, Callable[[Path], dict[str, Any]]], dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_evaluations(cls, evaluations: Iterable[Evaluation], store: Store) -> Results:
        """Return what a store holds of a run's evaluations."""
        found: dict[int, dict[MetricKey, tuple[Metric, Path]]] = {}
        for one in evaluations:
            if store.has(one.stage):
                path = store.path(one.stage)
                for metric in read_metrics(path):
                    key = one.model, metric.benchmark, metric.metric
                    found.setdefault(one.iteration, {})[key] = metric, path
        return cls(found)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], folder: Path) -> Results:
        """Return what the record in a run's folder holds; a metric without a value counts as not measured."""
        paths = {stage["key"]: folder / stage["path"] for stage in record["stages"]}
        names = [one.name for one in fields(Metric)]
        found: dict[int, dict[MetricKey, tuple[Metric, Path]]] = {}
        for row in (one for one in record["metrics"] if one["value"] is not None):
            key = row["model"], row["benchmark"], row["metric"]
            metric, path = Metric(*(row[name] for name in names)), paths.get(row.get("stage"), folder)
            found.setdefault(row["iteration"], {})[key] = metric, path
        return cls(found)

    def joined(self, other: Results) -> Results:
        """Return the metrics of both; where both have one, that of `self`."""
        return Results({i: {**other.found.get(i, {}), **self.found.get(i, {})} for i in {**other.found, **self.found}})

    @property
    def last(self) -> int:
        """The last iteration that was measured, 0 where nothing was."""
        return max(self.found, default=0)

    def metric(self, iteration: int, *key: str) -> Metric | None:
        """Return a metric, or None where it was not measured."""
        found = self.found.get(iteration, {}).get((key[0], key[1], key[2]))
        return found[0] if found else None

    def items(self, iteration: int, *key: str) -> dict[str, float]:
        """Return the values that a metric is the mean of; none where they are unknown."""
        return self._behind(read_items, iteration, *key) or {}

    def draws(self, iteration: int, *key: str) -> list[float]:
        """Return a metric's bootstrap draws; none where it is a mean, or they are unknown."""
        return self._behind(read_draws, iteration, *key) or []

    def _behind(self, read: Callable[[Path], dict[str, Any]], iteration: int, *key: str) -> Any:
        metric, path = self.found.get(iteration, {}).get((key[0], key[1], key[2]), (None, Path()))
        if metric is None:
            return None
        if (path, read) not in self._read:
            try:
                self._read[path, read] = read(path)
            except (OSError, json.JSONDecodeError):  # the store was cleaned, or damaged: the recorded number stays
                self._read[path, read] = {}
        return self._read[path, read].get(metric.metric)


def difference(first: Results, at: int, second: Results, other: int, *key: str) -> Difference | None:
    """Return a metric of one run at an iteration minus that of another (or the same) run; None where one lacks it."""
    one, two = first.metric(at, *key), second.metric(other, *key)
    if one is None or two is None:
        return None
    return (
        paired(first.items(at, *key), second.items(other, *key))
        or resampled(one, two, first.draws(at, *key), second.draws(other, *key))
        or unpaired(one, two)
    )
