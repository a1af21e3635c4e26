"""Over-optimisation: what gold says of policies whose proxy reward rises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.report import tables
from analysis.report.charts import Axis, Chart, Kind, Series, rounded
from analysis.report.sets import SampleSet, Scores, beside_gold
from mt.evaluation.catalogue import said
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


def from_metrics(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return the chart from recorded metrics, where no gold rewards of single responses are at hand."""
    policy = [row for row in rows if row["model"] == "policy"]
    measured = {(row["benchmark"], row["metric"], int(row["iteration"])): row for row in policy}
    for benchmark, metric in _QUALITY:
        both = [i for b, m, i in measured if (b, m) == (benchmark, metric) and (*_PROXY, i) in measured]
        if len(both) > 1:
            pairs = [(measured[(*_PROXY, i)], measured[benchmark, metric, i]) for i in sorted(both)]
            along = [(f"iteration {good['iteration']}", _mean_in(proxy), _mean_in(good)) for proxy, good in pairs]
            return [_path_chart(f"{said(metric)} ({said(benchmark)})", [_path_series("r₀", along)], "")]
    return []


_PROXY = ("proxy", "mean_reward_base")
_QUALITY = (
    ("gold", "mean_reward"),
    ("alpaca_eval", "lc_win_rate"),
    ("alpaca_eval", "win_rate"),
    ("arena_hard", "score"),
)


def _mean_in(row: Mapping[str, Any]) -> Mean:
    return Mean(float(row["value"]), row.get("low"), row.get("high"), row.get("n") or 0)


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
    return _path_chart("mean gold reward", series, f" ({group[0].place.step})")


def _path_chart(quality: str, series: list[Series], where: str) -> Chart:
    fallen = [f"{one.name}: {fall}" for one in series if (fall := _fall(one))]
    return Chart(
        title=f"{quality[:1].upper()}{quality[1:]} against mean proxy reward{where}",
        kind=Kind.PATH,
        x=Axis("mean proxy reward", "~g"),
        y=Axis(quality, "~g"),
        series=series,
        better="higher",
        note="Over-optimisation shows as a path that goes right (proxy up) and down (gold down).",
        alert="; ".join(fallen),
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


def _fall(series: Series) -> str:
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
