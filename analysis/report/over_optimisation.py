"""Over-optimisation: what gold says of policies whose proxy reward rises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.report import tables
from analysis.report.charts import Axis, Chart, Kind, Series, rounded
from analysis.report.sets import SampleSet, Scores, beside_gold
from mt.evaluation.statistics import t_interval


@dataclass(frozen=True)
class Mean:
    """A mean over prompts with its 95% t-interval."""

    value: float
    low: float | None
    high: float | None
    n: int


def charts(sets: Sequence[SampleSet]) -> list[Chart]:
    """Return one chart per set of prompts that several policies answered: mean gold against mean reward."""
    groups: dict[str, list[SampleSet]] = defaultdict(list)
    for one in sorted(sets, key=lambda one: one.policy_place):
        groups[next(iter(one.table.stage.inputs.get("prompts", [])), "")].append(one)
    return [chart for group in groups.values() if (chart := _path(group)) is not None]


def mean_of(scores: Scores) -> Mean:
    """Return the mean reward; a prompt counts once, whatever its number of responses."""
    per_prompt = [float(np.mean(values)) for values in tables.rewards_by_prompt(scores.table).values() if values]
    interval = t_interval(per_prompt)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Mean(float(np.mean(per_prompt)), low, high, len(per_prompt))


def _path(group: Sequence[SampleSet]) -> Chart | None:
    """Return the chart of sets over the same prompts; None unless one reward model scored two policies."""
    points: dict[str, list[tuple[str, Mean, Mean]]] = defaultdict(list)
    for one, scores, gold in beside_gold(group):
        points[scores.name].append((one.name, mean_of(scores), mean_of(gold)))
    series = [_path_series(name, along) for name, along in points.items() if len(along) > 1]
    if not series:
        return None
    return Chart(
        title=f"Average gold reward against average proxy reward ({group[0].place.step})",
        kind=Kind.PATH,
        x=Axis("average proxy reward", "~g"),
        y=Axis("average gold reward", "~g"),
        series=series,
        better="higher",
        note="Over-optimisation shows as a path that goes right (proxy up) and down (gold down).",
        alert="; ".join(f"{one.name}: {said}" for one in series if (said := fall(one))),
    )


def _path_series(name: str, along: Sequence[tuple[str, Mean, Mean]]) -> Series:
    return Series(
        name=f"proxy {name}",
        x=rounded([proxy.value for _, proxy, _ in along]),
        y=rounded([gold.value for _, _, gold in along]),
        low=rounded([gold.low for _, _, gold in along]),
        high=rounded([gold.high for _, _, gold in along]),
        n=[gold.n for _, _, gold in along],
        labels=[policy for policy, _, _ in along],
    )


def fall(series: Series) -> str:
    """Say where gold fell while the proxy rose, and where that may be chance."""
    x, y, labels = series.x, series.y, series.labels or []
    low, high = series.low or [None] * len(y), series.high or [None] * len(y)
    fallen = [
        f"{labels[i]} (within the intervals)" if _above(high[i], low[i - 1]) else labels[i]
        for i in range(1, len(labels))
        if _above(x[i], x[i - 1]) and _above(y[i - 1], y[i])
    ]
    return f"gold fell while the proxy rose at {', '.join(fallen)}" if fallen else ""


def _above(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other
