"""Training curves: what a training stage reported, step by step."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.report.charts import Axis, Chart, ChartKind, Series, rounded
from analysis.report.record import StageRow
from mt.evaluation.catalogue import capitalised, said
from mt.runtime.jsonl import JsonLines
from mt.workflow.work import CURVES

MAX_POINTS = 400


@dataclass(frozen=True)
class Curve:
    """A metric of training, or a pair of them that one chart shows (the group in `metric` names the line)."""

    metric: str
    title: str
    unit: str
    better: str = ""
    minor: bool = False


CURVE_FACTS = (
    Curve("loss", "Loss", "loss", "lower"),
    Curve("accuracy", "Accuracy: chosen above rejected", "share of pairs", "higher"),
    Curve("margin", "Margin of chosen over rejected", "difference of rewards", "higher"),
    Curve("reward_(chosen|rejected)", "Rewards of chosen and rejected", "reward"),
    Curve("log_prob_(chosen|rejected)", "Log-probability of responses", "nats per response"),
    Curve("nll", "Negative log-likelihood of chosen", "nats per token", "lower", True),
    Curve("learning_rate", "Learning rate", "learning rate", minor=True),
    Curve("gradient_norm", "Gradient norm before clipping", "norm", minor=True),
    Curve("tokens_per_second", "Speed", "tokens per second", minor=True),
    Curve("memory_mib", "Memory", "MiB", minor=True),
)
"""In the order of the page; what is not declared comes last."""

Points = tuple[list[float], list[float]]
"""(steps, values)."""


def charts(stages: Mapping[str, StageRow]) -> list[Chart]:
    """Return a chart for each (training stage, metric or pair of metrics), lines for each time that it ran."""
    lines: dict[tuple[str, Curve], list[Series]] = defaultdict(list)
    times: dict[str, int] = defaultdict(int)
    for row in stages.values():
        for metric, (steps, values) in _metrics(row.folder):
            known, side = _known(metric)
            name = str(row.position) or said(row.name)
            named = f"{name}: {side}" if side else name
            hue, dashed = times[row.name], side == "rejected"
            lines[row.name, known].append(Series(named, steps, rounded(values), hue=hue, dashed=dashed))
        times[row.name] += 1
    return [_chart(stage, known, series) for (stage, known), series in sorted(lines.items(), key=_order)]


def thin(steps: list[float], values: list[float], points: int = MAX_POINTS) -> Points:
    """Return evenly spaced points of a curve, the last one always among them."""
    if len(steps) <= points:
        return steps, values
    kept = [round(index * (len(steps) - 1) / (points - 1)) for index in range(points)]
    return [steps[index] for index in kept], [values[index] for index in kept]


def _order(item: tuple[tuple[str, Curve], list[Series]]) -> tuple[str, int]:
    (stage, known), _ = item
    return stage, CURVE_FACTS.index(known) if known in CURVE_FACTS else len(CURVE_FACTS)


def _known(metric: str) -> tuple[Curve, str]:
    """Return what is known of a metric, and which side of a pair it is ("" for neither)."""
    for one in CURVE_FACTS:
        if found := re.fullmatch(one.metric, metric):
            return one, found[1] if found.groups() else ""
    return Curve(metric, capitalised(said(metric)), said(metric), minor=True), ""


def _metrics(folder: Path | None) -> Iterator[tuple[str, Points]]:
    """Yield the curves of an artifact by metric; a metric may be absent at some steps."""
    if folder is None:
        return
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in JsonLines[dict[str, Any]](folder / CURVES, dict[str, Any]).read():
        step = row.pop("step")
        for name, value in row.items():
            if isinstance(value, int | float):
                points[name].append((step, value))
    for name, pairs in points.items():
        yield name, thin([step for step, _ in pairs], [value for _, value in pairs])


def _chart(stage: str, known: Curve, series: list[Series]) -> Chart:
    return Chart(
        title=known.title,
        kind=ChartKind.CURVE,
        x=Axis("step"),
        y=Axis(known.unit),
        series=series,
        better=known.better,
        group=capitalised(said(stage)),
        minor=known.minor,
    )
