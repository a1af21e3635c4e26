"""Figures 3, 4 and 5 of the paper, and that of the world study, drawn from the same reports that the tables print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.cells import Cell, Report
from analysis.specs import Column, Row
from analysis.tables import table
from mt.errors import DataError, describe

_COLORS = {"win": "#2f7ebc", "tie": "#c9ced6", "lose": "#d1603d"}
_LAYOUT = {"template": "plotly_white", "font": {"size": 14}, "margin": {"t": 70, "r": 20}}


def figure(name: str, frame: pd.DataFrame) -> go.Figure:
    """Return figure3, figure4, figure5 or study from a frame (`analysis.load`)."""
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


def _over_optimization(report: Report) -> go.Figure:
    """Return gold beside what the base reward model believes, by iteration; single iterations stand side by side."""
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    shown = (("gold", "mean_reward"), ("proxy", "mean_reward_base"))
    columns = [column for column in report.columns if column.key in shown]
    drawn = make_subplots(rows=1, cols=len(columns), subplot_titles=[column.full_title for column in columns])
    for place, column in enumerate(columns, start=1):
        for number, (title, rows) in enumerate(_curves(report).items()):
            cells = [report.cells[row.title, column.name] for row in rows]
            x = [row.iteration + (0.06 * number if len(rows) == 1 else 0) for row in rows]
            curve = go.Scatter(x=x, y=[_mean(cell) for cell in cells], name=title, error_y=_errors(cells))
            curve.update(mode="lines+markers", legendgroup=title, showlegend=place == 1)
            drawn.add_trace(curve.update(marker_color=qualitative.D3[number % 10]), row=1, col=place)
    return drawn.update_xaxes(title="iteration", dtick=1)


def _curves(report: Report) -> dict[str, list[Row]]:
    """Return the measured rows of each run: those of the frozen reward model belong together, from base on."""
    base, *rows = report.spec.rows
    rows = [row for row in rows if any(report.cells[row.title, column.name].ours for column in report.columns)]
    frozen = [row for row in rows if row.select == report.spec.row(report.spec.against or "").select]
    return {"frozen reward model": [base, *frozen], **{row.title: [row] for row in rows if row not in frozen}}


_DRAWN: dict[str, Callable[[Report], go.Figure]] = {
    "figure3": _shares,
    "figure4": _scores,
    "figure5": _pairwise,
    "study": _over_optimization,
}


def _bars(report: Report, rows: Sequence[str], column: Column) -> go.Bar:
    """Return a column's means as bars with their 95% intervals."""
    cells = [report.cells[row, column.name] for row in rows]
    return go.Bar(x=list(rows), y=[_mean(cell) for cell in cells], name=column.title, error_y=_errors(cells))


def _errors(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the 95% intervals of cells as error bars."""
    up, down = ([_side(cell, high=high) for cell in cells] for high in (True, False))
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down}


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
