"""Figures 3, 4 and 5 of the paper, and that of the world study, drawn from the same reports that the tables print."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.cells import Cell, Report
from analysis.spec import Column
from analysis.tables import table
from mt.errors import DataError, describe

_COLORS = {"win": "#2f7ebc", "tie": "#c9ced6", "lose": "#d1603d"}
_NARROW = 4
"""Percent below which a share of a bar is too narrow for its number."""


class Drawing:
    """A figure, and how notebooks and pages show it."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _repr_svg_(self) -> str:
        return self.svg()

    def svg(self) -> str:
        """Return the figure as SVG, the same text for the same numbers."""
        from matplotlib import rc_context

        out = io.StringIO()
        with rc_context({"svg.hashsalt": "mt", "svg.fonttype": "none"}):
            self.figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()[out.getvalue().index("<svg") :]


def figure(name: str, frame: pd.DataFrame) -> Drawing:
    """Return a figure of the paper or of the world study from a frame (`analysis.load`)."""
    return draw(table(name, frame))


def draw(report: Report) -> Drawing:
    """Return the figure of a report; raises DataError for a table that the paper does not draw."""
    name = report.spec.name
    if name not in DRAWN:
        raise DataError(describe("figure", name, "not a figure", allowed=", ".join(DRAWN)))
    drawn = Figure(layout="constrained")
    DRAWN[name](report, drawn)
    drawn.suptitle(f"{report.spec.title}\n({report.label})", fontsize=11)
    return Drawing(drawn)


def is_drawn(report: Report) -> bool:
    """Say whether a report has a figure."""
    return report.spec.name in DRAWN


def _shares(report: Report, drawn: Figure) -> None:
    """Draw wins, ties and losses as stacked bars, one per pair of reward models (Figure 3)."""
    drawn.set_size_inches(7, 2.4)
    axes = drawn.add_subplot()
    rows = [row.title for row in report.spec.rows]
    left = [0.0] * len(rows)
    for column in report.columns[:3]:
        means = [_mean(report.cells[row, column.name]) for row in rows]
        bars = axes.barh(rows, means, left=left, color=_COLORS[column.title], label=column.title)
        axes.bar_label(bars, fmt=lambda share: f"{share:.1f}" if share >= _NARROW else "", label_type="center")
        left = [start + (0.0 if math.isnan(mean) else mean) for start, mean in zip(left, means, strict=True)]
    axes.set(xlim=(0, 100), xlabel="% of prompts")
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=3, frameon=False)


def _scores(report: Report, drawn: Figure) -> None:
    """Draw policy and reward model side by side, the paper's numbers marked beside models of their size (Figure 4)."""
    columns = [column for column in report.columns if _any(report, column)] or list(report.columns[:2])
    drawn.set_size_inches(3.2 * len(columns), 3.2)
    rows = [row.title for row in report.spec.rows]
    for axes, column in zip(_panels(drawn, len(columns)), columns, strict=True):
        cells, x = [report.cells[row, column.name] for row in rows], range(len(rows))
        axes.errorbar(x, [_mean(cell) for cell in cells], yerr=_errors(cells), fmt="o", capsize=4, label="ours")
        axes.set_xticks(x, rows)
        if not report.of_world:
            paper = [cell.paper.get("preprint", math.nan) for cell in cells]
            axes.plot(x, paper, "D", fillstyle="none", color="#333", label="preprint")
        axes.set_title(column.title, fontsize=10)
        axes.margins(x=0.15)


def _pairwise(report: Report, drawn: Figure) -> None:
    """Draw win rates between iterations as grouped bars, with the line of no difference (Figure 5)."""
    drawn.set_size_inches(7, 3.2)
    axes = drawn.add_subplot()
    rows = [row.title for row in report.spec.rows]
    width = 0.8 / len(report.columns)
    for number, column in enumerate(report.columns):
        cells = [report.cells[row, column.name] for row in rows]
        x = [place + width * (number - (len(report.columns) - 1) / 2) for place in range(len(rows))]
        axes.bar(x, [_mean(cell) for cell in cells], width, yerr=_errors(cells), capsize=3, label=column.title)
    axes.axhline(50, linestyle="--", color="#666")
    axes.set(ylim=(0, 100), ylabel="win rate (%)", xticks=range(len(rows)), xticklabels=rows)
    axes.legend(frameon=False, ncols=3)


def _differences(report: Report, drawn: Figure) -> None:
    """Draw what each row gains on its counterpart: gold reward of the policy, accuracy of the reward model."""
    shown = (("gold", "mean_reward"), ("same_responses", "gain_over_base"))
    columns = [one for one in report.columns if one.key in shown and one.iteration is None and _any(report, one)]
    rows = [row for row in report.spec.rows if row.iteration > 0 and row.group != "Before" and report.pairs(row.title)]
    if not (columns and rows):
        drawn.text(0.5, 0.4, "no run here has what is drawn", horizontalalignment="center")
        return
    drawn.set_size_inches(5 + 3 * len(columns), 1.5 + 0.25 * len(rows))
    groups = {group: f"C{number}" for number, group in enumerate(dict.fromkeys(row.group for row in rows))}
    names = [f"{row.title} ({report.pairs(row.title)})" for row in rows]
    for number, (axes, column) in enumerate(zip(_panels(drawn, len(columns)), columns, strict=True)):
        for place, row in enumerate(rows):
            one = report.cells[row.title, column.name].difference
            if one is not None:
                sides = [[one.value - (one.value if one.low is None else one.low)]]
                sides.append([(one.value if one.high is None else one.high) - one.value])
                axes.errorbar([one.value], [place], xerr=sides, fmt="o", capsize=3, color=groups[row.group])
        axes.axvline(0, linestyle=":", color="#666")
        axes.set_title(column.full_title if column.chance is not None else f"{column.full_title}, gain", fontsize=10)
        axes.set(yticks=range(len(rows)), yticklabels=[] if number else names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    handles = [Line2D([], [], marker="o", linestyle="", color=color, label=group) for group, color in groups.items()]
    bars = "95% intervals; in brackets the pairs of world and seed"
    drawn.legend(handles=handles, title=bars, loc="outside lower center", ncols=2, frameon=False, fontsize=9)


DRAWN: dict[str, Callable[[Report, Figure], None]] = {
    "figure3": _shares,
    "figure4": _scores,
    "figure5": _pairwise,
    "study": _differences,
    "study_iterations": _differences,
    "study_transfer": _differences,
}


def _panels(drawn: Figure, count: int) -> list[Axes]:
    return list(drawn.subplots(1, count, squeeze=False)[0])


def _errors(cells: Sequence[Cell]) -> Any:
    """Return the 95% intervals of cells as error bars: below, then above; no bar where one has none."""
    return [[_side(cell, high=high) for cell in cells] for high in (False, True)]


def _mean(cell: Cell) -> float:
    return cell.ours.mean if cell.ours else math.nan


def _side(cell: Cell, *, high: bool) -> float:
    side = (cell.ours.high if high else cell.ours.low) if cell.ours else None
    return math.nan if side is None or cell.ours is None else abs(side - cell.ours.mean)


def _any(report: Report, column: Column) -> bool:
    return any(report.cells[row.title, column.name].ours for row in report.spec.rows)
