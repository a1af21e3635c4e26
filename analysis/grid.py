"""A report as lines of texts, the same for every format: ours, the difference, and the paper below each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.cells import Cell, Comparison, Difference, Estimate, Report
from analysis.paper import SOURCES
from analysis.specs import Column, Row, TableSpec

NONE = "–"
SIGNIFICANT = "*"
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True)
class Line:
    """One line of a table: what it shows ("ours", "Δ", a source of the paper) and a text per column."""

    group: str
    row: str
    kind: str
    cells: tuple[str, ...]


def header(column: Column) -> str:
    """Return a column's title with the direction that is better."""
    return column.title + _ARROWS[column.better]


def lines(report: Report) -> Iterator[Line]:
    """Yield the lines of a table, row by row."""
    for row in report.spec.rows:
        cells = [report.cells[row.title, column.name] for column in report.columns]
        yield from _row_lines(report.spec, row, cells)


def _row_lines(spec: TableSpec, row: Row, cells: list[Cell]) -> Iterator[Line]:
    if row.select is not None:
        yield Line(row.group, row.title, "ours", tuple(ours(cell.column, cell.ours) for cell in cells))
    if any(cell.difference for cell in cells):
        texts = tuple(difference(cell.column, cell.difference) for cell in cells)
        yield Line(row.group, row.title, f"Δ {spec.short(_against(cells))}", texts)
    for source in SOURCES:
        if any(source.name in cell.paper for cell in cells):
            yield Line(row.group, row.title, source.name, tuple(_reported(cell, source.name) for cell in cells))


def ours(column: Column, estimate: Estimate | None) -> str:
    """Return "52.0 ±1.3 (3)", or for one seed "52.0 [50.1, 53.9] (1)"."""
    if estimate is None:
        return NONE
    mean = column.format.format(estimate.mean)
    if estimate.low is None or estimate.high is None:
        return f"{mean} ({estimate.n})"
    if estimate.over == "prompts":
        low, high = (column.format.format(side) for side in (estimate.low, estimate.high))
        return f"{mean} [{low}, {high}] (1)"
    return f"{mean} ±{column.format.format((estimate.high - estimate.low) / 2)} ({estimate.n})"


def difference(column: Column, found: Difference | None) -> str:
    """Return "+3.1 ±1.2*", the star where the paired interval excludes zero; without interval for one seed."""
    if found is None:
        return ""
    mean = signed(column, found.mean)
    if found.low is None or found.high is None:
        return mean
    half = column.format.format((found.high - found.low) / 2)
    return f"{mean} ±{half}{SIGNIFICANT if found.significant else ''}"


def signed(column: Column, value: float) -> str:
    """Return a number with its sign in the column's format."""
    return column.format.replace("{:", "{:+").format(value)


def comparison(found: Comparison) -> str:
    """Return a further comparison in one line."""
    text = difference(found.column, found.difference)
    what = f"{found.row} − {found.difference.against} ({found.equal})"
    paper = [f"{name} {signed(found.column, value)}" for name, value in found.paper_gain.items()]
    seeds = f"{found.difference.n} seed{'s' if found.difference.n > 1 else ''}"
    return f"{what}, {found.column.full_title}: {text} ({'; '.join([seeds, *paper])})"


def notes(report: Report) -> list[str]:
    """Return everything that has to be said below a table."""
    said = list(_reading(report))
    said += [f"judge: {', '.join(report.judges)}"] if report.judges else []
    said += [f"data: {', '.join(report.data)}"] if report.data else []
    said += [f"made with: {'; or '.join(report.versions)}"] if report.versions else []
    said += [f"{source.name}: {source.cite}" for source in SOURCES if _is_shown(report, source.name)]
    if report.short:
        said.append(f"fewer seeds than others: {', '.join(report.short)}")
    if report.missing:
        said.append(f"missing: {', '.join(report.missing)}")
    if report.unmeasured:
        said.append(f"measured by no run here: {', '.join(report.unmeasured)}")
    if report.missing or report.short or report.unmeasured:
        said.append(f"to make it: {report.command}")
    return said + [f"left out: {text}" for text in report.left_out]


def _reading(report: Report) -> Iterator[str]:
    found = [cell for cell in report.cells.values() if cell.ours is not None]
    if any(cell.ours.over == "seeds" for cell in found if cell.ours):
        yield "ours: mean over seeds ± 95% t-interval (seeds)"
    if any(cell.ours.over == "prompts" for cell in found if cell.ours):
        yield "ours, one seed: value [95% interval over prompts] (1); one seed says nothing about training noise"
    tested = [cell.difference for cell in found if cell.difference]
    if any(one.significant is not None for one in tested):
        yield f"Δ X: ours minus X, paired over seeds ± 95% t-interval; {SIGNIFICANT} where it excludes zero"
    elif tested:
        yield "Δ X: ours minus X, of one seed, not tested"
    if any(cell.paper_gain for cell in report.cells.values()):
        yield "(+) behind the paper's numbers: the same difference between its own"


def _reported(cell: Cell, source: str) -> str:
    value = cell.paper.get(source)
    if value is None:
        return ""
    text = cell.column.format.format(value)
    gain = cell.paper_gain.get(source)
    return text if gain is None else f"{text} ({signed(cell.column, gain)})"


def _against(cells: list[Cell]) -> str:
    return next(cell.difference.against for cell in cells if cell.difference)


def _is_shown(report: Report, source: str) -> bool:
    return any(source in cell.paper for cell in report.cells.values())
