"""A report as a frame of texts, the same for every format: ours, the difference, and the paper below each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from analysis.cells import Cell, MeanEstimate, Report, RowDifference
from analysis.paper import SOURCES
from analysis.spec import Column, RowSpec
from mt.evaluation.pairing import Difference
from mt.runtime.text import counted

NONE = "–"
SIGNIFICANT = "*"
_TIES = {"current": "a tie is lost", "rlhflow": "a tie counts half"}
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
_SUBSCRIPTS = str.maketrans("0123456789t-", "₀₁₂₃₄₅₆₇₈₉ₜ₋")


def typeset(text: str) -> str:
    """Return a text with its models as the paper writes them: "π₀" for π_0, "rₜ₋₁" for r_{t-1}."""
    return re.sub(r"(?<!\w)(π|r)_\{?([\dt-]+)\}?", lambda found: found[1] + found[2].translate(_SUBSCRIPTS), text)


def grid(report: Report) -> pd.DataFrame:
    """Return a table's texts: lines by (group, row, kind), columns by (group, title with the better direction)."""
    lines = [line for row in report.spec.rows for line in _lines(report, row)]
    index = pd.MultiIndex.from_tuples([(row.group, typeset(row.title), typeset(kind)) for row, kind, _ in lines])
    titles = [(column.group, typeset(column.title) + _ARROWS[column.better]) for column in report.columns]
    return pd.DataFrame([cells for _, _, cells in lines], index, pd.MultiIndex.from_tuples(titles))


def _lines(report: Report, row: RowSpec) -> Iterator[tuple[RowSpec, str, list[str]]]:
    """Yield (row, kind, texts) for ours, the difference, and each source of the paper."""
    cells = [report.cells[row.title, column.name] for column in report.columns]
    if row.select is None and report.of_world:
        return
    if row.select is not None:
        yield row, report.label, [ours(cell.column, cell.ours) for cell in cells]
    if any(cell.difference for cell in cells):
        against = next(cell.against for cell in cells if cell.difference)
        yield row, f"Δ {report.spec.short(against)}", [difference(cell.column, cell.difference) for cell in cells]
    for source in SOURCES:
        texts = [_reported(cell, source.name, gains_only=report.of_world) for cell in cells]
        if any(texts):
            yield row, f"{source.name} Δ" if report.of_world else source.name, texts


def ours(column: Column, estimate: MeanEstimate | None) -> str:
    """Return "52.0 ±1.3 (3)", or for one seed "52.0 [50.1, 53.9] (1)"."""
    if estimate is None:
        return NONE
    mean = column.text(estimate.mean)
    if estimate.low is None or estimate.high is None:
        return f"{mean} ({estimate.n})"
    if estimate.over == "prompts":
        low, high = (column.text(side) for side in (estimate.low, estimate.high))
        return f"{mean} [{low}, {high}] (1)"
    return f"{mean} ±{column.text((estimate.high - estimate.low) / 2)} ({estimate.n})"


def difference(column: Column, found: Difference | None) -> str:
    """Return "+3.1 ±1.2*", the star where the paired interval excludes zero; without interval for one seed."""
    if found is None:
        return ""
    mean = column.text(found.value, "+")
    if found.low is None or found.high is None:
        return mean
    half = column.text((found.high - found.low) / 2)
    return f"{mean} ±{half}{SIGNIFICANT if found.sign else ''}"


def comparison(found: RowDifference) -> str:
    """Return a further comparison in one line."""
    text = difference(found.column, found.difference)
    what = typeset(f"{found.row} − {found.against} ({found.equal})")
    paper = [f"{name} {found.column.text(value, '+')}" for name, value in found.paper_gain.items()]
    seeds = counted(found.difference.n or 0, "seed")
    return f"{what}, {found.column.full_title}: {text} ({'; '.join([seeds, *paper])})"


def notes(report: Report) -> list[str]:
    """Return everything that has to be said below a table."""
    return [one if "python -m" in one or "--where" in one else typeset(one) for one in _notes(report)]


def _notes(report: Report) -> list[str]:
    said = list(_reading(report))
    said += [f"judge: {', '.join(report.judges)}"] if report.judges else []
    if report.conventions:
        ours = " and ".join(f"{name} ({_TIES[name]})" for name in report.conventions)
        said.append(f"RewardBench: ours by convention {ours}; the paper's Mutual-Taught rows fit rlhflow alone")
    said += [f"data: {', '.join(report.data)}"] if report.data else []
    said += [f"made with: {'; or '.join(report.versions)}"] if report.versions else []
    shown = {name for cell in report.cells.values() for name in (cell.paper_gain if report.of_world else cell.paper)}
    said += [f"{source.name}: {source.cite}" for source in SOURCES if source.name in shown]
    if report.short:
        said.append(f"fewer seeds than others: {'; '.join(report.short)}")
    if report.missing:
        said.append(f"missing: {'; '.join(report.missing)}")
    if report.unmeasured:
        said.append(f"measured by no run here: {'; '.join(report.unmeasured)}")
    if report.missing or report.short or report.unmeasured:
        said.append(f"to make it: {report.command}")
    if report.others:
        said.append(f"runs of other settings: {'; '.join(report.others)}")
    return said + ([f"left out: {'; '.join(report.left_out)}"] if report.left_out else [])


def _reading(report: Report) -> Iterator[str]:
    found = [cell for cell in report.cells.values() if cell.ours is not None]
    if any(cell.ours.over == "seeds" for cell in found if cell.ours):
        yield f"{report.label}: mean over seeds ± 95% t-interval (seeds)"
    if any(cell.ours.over == "prompts" for cell in found if cell.ours):
        yield f"{report.label}: one seed, value [95% interval over prompts] (1); it says nothing about training noise"
    tested = [cell.difference for cell in found if cell.difference]
    if any(one.low is not None for one in tested):
        yield f"Δ X: the difference to X, paired over seeds ± 95% t-interval; {SIGNIFICANT} where it excludes zero"
    elif tested:
        yield "Δ X: the difference to X, of one seed, not tested"
    if any(cell.paper_gain for cell in report.cells.values()):
        yield (
            "preprint Δ, published Δ: the paper's differences to its own base, of models of 7 or 8 billion weights"
            if report.of_world
            else "(+) behind the paper's numbers: the same difference between its own"
        )
    if report.of_world:
        yield "the world: no prompt's text stands in two parts of the training prompts, or in training and evaluation"


def _reported(cell: Cell, source: str, *, gains_only: bool) -> str:
    value, gain = cell.paper.get(source), cell.paper_gain.get(source)
    if gains_only:
        return "" if gain is None else cell.column.text(gain, "+")
    if value is None:
        return ""
    text = cell.column.text(value)
    return text if gain is None else f"{text} ({cell.column.text(gain, '+')})"
