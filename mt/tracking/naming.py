"""Names in a tracker: stable run ids, and metric and stage names that sort as they happened."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mt.tracking.base import MetricRow, RunInfo, TrackedStage

UNTRACKED = frozenset({"tracking", "launch", "experiment", "runs", "store"})
"""Settings that say where and how a run is done: changing them continues the same run."""
_TAGGED = ("method", "objective", "scale")


def run_id(run: RunInfo) -> str:
    """Return the id of a run, the same whenever it is resumed: a hash of its sweep, its name and its settings.

    Two sweeps may hold a run of one name and of the same settings; each has a record, and a mirror, of its own.
    """
    kept = {key: value for key, value in run.config.items() if key not in UNTRACKED}
    text = json.dumps([run.sweep, run.name, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_tags(config: Mapping[str, Any], given: Iterable[str]) -> list[str]:
    """Return a run's tags: those given, and its choices ("rm_data=both"), which tell the runs of a sweep apart."""
    retrains = (config.get("method") or {}).get("name") == "mutual_taught"
    groups = [*_TAGGED, *(["rm_data"] if retrains else [])]
    return sorted({*given, *(f"{group}={config[group]['name']}" for group in groups if config.get(group))})


def metric_values(row: MetricRow) -> dict[str, float]:
    """Return a metric under its name, "policy/alpaca_eval/lc_win_rate", its interval sorted beside it."""
    metric = row.metric
    name = _flat(f"{row.model}/{metric.benchmark}/{metric.metric}")
    found = {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
    return {key: value for key, value in found.items() if value is not None}


def tracked_stages(stages: Iterable[tuple[str, str, str]]) -> list[TrackedStage]:
    """Return stages (key, name, label) with slugs that are unique within the run and sort by iteration."""
    found: list[TrackedStage] = []
    taken: set[str] = set()
    for key, name, label in stages:
        slug = f"{_slug(label)}/{name}" if label else name
        slug = slug if slug not in taken else f"{slug}-{key[:6]}"
        taken.add(slug)
        found.append(TrackedStage(key, name, label, slug))
    return found


def curve_values(stage: TrackedStage, step: int, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return a step of a training under "train/<stage>/<metric>", beside the step that it is plotted over."""
    return {curve_axis(stage): step} | {f"train/{stage.slug}/{_flat(name)}": value for name, value in metrics.items()}


def curve_axis(stage: TrackedStage) -> str:
    """Return the name of a training's own steps."""
    return f"train/{stage.slug}/step"


def _flat(name: str) -> str:
    """Return a name without dots: W&B takes "a.b" for b inside of a, and then repeats stale steps."""
    return name.replace(".", "_")


def _slug(label: str) -> str:
    """Return "iteration 1 · E-step" as "iteration-01-e-step"."""
    words = re.findall(r"[a-z0-9]+", label.lower())
    return "-".join(word.zfill(2) if word.isdigit() else word for word in words)
