"""The recorded metrics as a table per run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.report.record import Run
from mt.evaluation.catalogue import Quantity, heading, quantity, rank
from mt.evaluation.pairing import Difference
from mt.evaluation.statistics import t_interval
from mt.running.results import REPEATS, MetricKey, Results, difference

Measured = Mapping[str, Any]
"""A row of the record's metrics."""


@dataclass(frozen=True)
class MetricCell:
    """A number of the results table, as text."""

    value: str
    interval: str
    n: str


@dataclass(frozen=True)
class MetricRow:
    """A metric over iterations; `verdict` is "better", "worse" or ""."""

    title: str
    unit: str
    better: str
    meaning: str
    minor: bool
    cells: list[MetricCell | None]
    change: str
    change_interval: str
    verdict: str


@dataclass(frozen=True)
class ResultsTable:
    """The results of one run: a group of rows per model and benchmark, a column per iteration."""

    iterations: list[int]
    groups: list[tuple[str, list[MetricRow]]]


def results(run: Run) -> ResultsTable:
    """Return the results table of a run."""
    cells: dict[MetricKey, dict[int, Measured]] = defaultdict(dict)
    for row in run.metrics:
        cells[key_of(row)][int(row["iteration"])] = row
    iterations = sorted({iteration for found in cells.values() for iteration in found})
    known = results_of(run)
    groups: dict[str, list[MetricRow]] = defaultdict(list)
    for key in sorted(cells, key=order):
        if REPEATS.get(key) not in cells:
            groups[heading(*key[:2])].append(_row(key, cells[key], iterations, known))
    return ResultsTable(iterations, list(groups.items()))


def results_of(run: Run) -> Results:
    """Return what a run measured, with the values of single prompts where their artifacts are there."""
    placed = [one for one in run.record.get("stages") or [] if one.get("path")]
    return Results.of_record({"stages": placed, "metrics": run.metrics}, run.folder)


def order(key: MetricKey) -> tuple[str, int]:
    """Sort key: the policy first, then as the catalogue has it."""
    return key[0], rank(*key[1:])


def key_of(row: Measured) -> MetricKey:
    """Return what a row measures."""
    return str(row["model"]), str(row["benchmark"]), str(row["metric"])


def cell(row: Measured, known: Quantity) -> MetricCell:
    """Return a measured number as text."""
    n = row.get("n")
    low, high = row.get("low"), row.get("high")
    return MetricCell(known.format.text(row["value"]), known.format.interval(low, high), "" if n is None else f"{n:,}")


def average(rows: Sequence[Measured]) -> tuple[float, float | None, float | None, int | None]:
    """Return (value, low, high, n): one run's own interval, or the mean over runs with Student's."""
    if len(rows) == 1:
        return rows[0]["value"], rows[0].get("low"), rows[0].get("high"), rows[0].get("n")
    values = [float(row["value"]) for row in rows]
    found = t_interval(values)
    low, high = (found.low, found.high) if found else (None, None)
    return sum(values) / len(values), low, high, len(values)


def _row(key: MetricKey, found: Mapping[int, Measured], iterations: Sequence[int], known: Results) -> MetricRow:
    one = quantity(*key[1:])
    measured = [iteration for iteration in iterations if iteration in found]
    change = None if moves(key) or len(measured) < 2 else difference(known, measured[-1], known, measured[0], *key)
    return MetricRow(
        title=one.title,
        unit="" if one.unit in one.title.lower() else one.unit,
        better=one.better,
        meaning=one.meaning,
        minor=one.minor,
        cells=[cell(found[iteration], one) if iteration in found else None for iteration in iterations],
        change=one.format.difference(change.value) if change else "",
        change_interval=one.format.interval(change.low, change.high) if change else "",
        verdict=verdict(change, one.better) if change else "",
    )


def moves(key: MetricKey) -> bool:
    """Say whether iterations do not compare: reward models on πₜ's responses, policies judged by the newest of them."""
    if key[0] == "reward":
        return key[1] in ("gold", "same_responses", "diagnostics")
    return key[1:] in (("proxy", "win_rate"), ("diagnostics", "length_correlation"))


def verdict(change: Difference, better: str) -> str:
    """Return which way a metric went, where the interval of its change lies on one side of zero."""
    if not better or not change.sign:
        return ""
    return "better" if (change.sign > 0) == (better == "higher") else "worse"
