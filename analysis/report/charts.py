"""Charts as data: what is shown, not how it is drawn (assets/charts.js turns them into Plotly figures)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

Number = float | int | None


class ChartKind(StrEnum):
    """How a chart is drawn."""

    ITERATIONS = "iterations"
    """Points over iterations, with intervals, joined by lines."""
    HISTOGRAM = "histogram"
    RELIABILITY = "reliability"
    """Observed against predicted share, with the diagonal."""
    CURVE = "curve"
    """A dense line over training steps."""


@dataclass(frozen=True)
class Axis:
    """An axis: its title with the unit, and a d3 number format."""

    title: str
    format: str = "~g"
    range: tuple[float, float] | None = None
    """What is shown; None takes what the chart holds."""


@dataclass(frozen=True)
class Series:
    """One line; `role` is its part in a comparison (before, between, after) or "" for one among equals."""

    name: str
    x: Sequence[Number]
    y: Sequence[Number]
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None
    n: Sequence[Number] | None = None
    labels: Sequence[str] | None = None
    role: str = ""
    hue: int | None = None
    """Lines of one hue belong together; None gives each its own."""
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart; `better` is "higher", "lower" or "" and `group` the heading that it stands under."""

    title: str
    kind: ChartKind
    x: Axis
    y: Axis
    series: list[Series]
    better: str = ""
    note: str = ""
    group: str = ""
    alert: str = ""
    neutral: float | None = None
    """The value of no difference, or of chance, marked by a line."""
    joined: bool = True
    """Whether a line joins the points."""
    minor: bool = False
    """A breakdown, folded away where several runs are compared."""

    def data(self) -> dict[str, Any]:
        """Return the chart as JSON data."""
        return asdict(self)


def agreeing(charts: Sequence[Chart]) -> list[Chart]:
    """Return the charts with one range for all axes of a kind and a title, so that they compare by eye."""
    values: dict[tuple[ChartKind, str], list[float]] = {}
    for chart in charts:
        sides = (side for one in chart.series for side in (one.y, one.low or [], one.high or []))
        known = [float(value) for side in sides for value in side if value is not None]
        known += [] if chart.neutral is None else [chart.neutral]
        values.setdefault((chart.kind, chart.y.title), []).extend(known)
    return [_ranged(chart, values[chart.kind, chart.y.title]) for chart in charts]


def _ranged(chart: Chart, values: Sequence[float]) -> Chart:
    """Return a chart of points with the range of its values: never so narrow that noise looks like news."""
    if chart.kind is not ChartKind.ITERATIONS or not values:
        return chart
    low, high = min(values), max(values)
    least = 0.04 if chart.y.format.endswith("%") else max(abs(low), abs(high)) * 0.05 or 1.0
    missing, pad = max(0.0, least - (high - low)) / 2, max(high - low, least) * 0.08
    return replace(chart, y=replace(chart.y, range=(low - missing - pad, high + missing + pad)))


def rounded(values: Sequence[Number], digits: int = 6) -> list[Number]:
    """Round to significant digits: a page needs no more, and is smaller for it; what is no number becomes None."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}") for value in values]
