"""Figures 3, 4 and 5 of the paper, drawn from the same reports that the tables print."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import plotly.graph_objects as go

from analysis.cells import Cell, Report
from analysis.specs import Column
from analysis.tables import table
from mt.errors import DataError, describe

_COLORS = {"win": "#2f7ebc", "tie": "#c9ced6", "lose": "#d1603d"}
_LAYOUT = {"template": "plotly_white", "font": {"size": 14}, "margin": {"t": 70, "r": 20}}


def figure(name: str, frame: pd.DataFrame) -> go.Figure:
    """Return figure3, figure4 or figure5 from a frame (`analysis.load`)."""
    return draw(table(name, frame))


def draw(report: Report) -> go.Figure:
    """Return the figure of a report; raises DataError for a table that the paper does not draw."""
    name = report.spec.name
    if name not in _DRAWN:
        raise DataError(describe("figure", name, "not a figure", allowed=", ".join(_DRAWN)))
    drawn = _DRAWN[name](report)
    return drawn.update_layout(title=report.spec.title, **_LAYOUT)


def _shares(report: Report) -> go.Figure:
    """Return wins, ties and losses as stacked bars, one per reward model (Figure 3)."""
    drawn = go.Figure()
    rows = [row.title for row in report.spec.rows]
    for column in report.columns[:3]:
        means = [_mean(report.cells[row, column.name]) for row in rows]
        labels = ["" if mean is None else column.format.format(mean) for mean in means]
        bar = go.Bar(y=rows, x=means, name=column.title, orientation="h", marker_color=_COLORS[column.title])
        drawn.add_trace(bar.update(text=labels, textposition="inside"))
    drawn.update_layout(barmode="stack", xaxis={"title": "% of prompts", "range": [0, 100]})
    return drawn.update_yaxes(autorange="reversed")


def _scores(report: Report) -> go.Figure:
    """Return policy and reward model scores side by side, the paper's numbers marked (Figure 4)."""
    from plotly.subplots import make_subplots

    columns = [column for column in report.columns if _any(report, column)] or list(report.columns[:2])
    drawn = make_subplots(rows=1, cols=len(columns), subplot_titles=[column.title for column in columns])
    rows = [row.title for row in report.spec.rows]
    for index, column in enumerate(columns, start=1):
        drawn.add_trace(_bars(report, rows, column).update(showlegend=False), row=1, col=index)
        drawn.add_trace(_paper(report, rows, column, legend=index == 1), row=1, col=index)
    return drawn


def _pairwise(report: Report) -> go.Figure:
    """Return win rates between iterations as grouped bars, with the line of no difference (Figure 5)."""
    rows = [row.title for row in report.spec.rows]
    drawn = go.Figure([_bars(report, rows, column) for column in report.columns])
    drawn.add_hline(y=50, line={"dash": "dash", "color": "#666"})
    return drawn.update_layout(barmode="group", yaxis={"title": "win rate (%)", "range": [0, 100]})


_DRAWN: dict[str, Callable[[Report], go.Figure]] = {"figure3": _shares, "figure4": _scores, "figure5": _pairwise}


def _bars(report: Report, rows: Sequence[str], column: Column) -> go.Bar:
    """Return a column's means as bars with their 95% intervals."""
    cells = [report.cells[row, column.name] for row in rows]
    up = [_side(cell, high=True) for cell in cells]
    down = [_side(cell, high=False) for cell in cells]
    error = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
    return go.Bar(x=list(rows), y=[_mean(cell) for cell in cells], name=column.title, error_y=error)


def _paper(report: Report, rows: Sequence[str], column: Column, *, legend: bool) -> go.Scatter:
    values = [report.cells[row, column.name].paper.get("preprint") for row in rows]
    marker = {"symbol": "diamond-open", "size": 12, "color": "#333"}
    return go.Scatter(x=list(rows), y=values, mode="markers", name="preprint", marker=marker, showlegend=legend)


def _mean(cell: Cell) -> float | None:
    return cell.ours.mean if cell.ours else None


def _side(cell: Cell, *, high: bool) -> float | None:
    side = (cell.ours.high if high else cell.ours.low) if cell.ours else None
    return None if side is None or cell.ours is None else abs(side - cell.ours.mean)


def _any(report: Report, column: Column) -> bool:
    return any(report.cells[row.title, column.name].ours for row in report.spec.rows)
