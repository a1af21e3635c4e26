"""The recorded metrics as a table per run, and as curves over iterations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.report.charts import Axis, Chart, Kind, Series, rounded
from analysis.report.record import Run
from mt.evaluation.catalogue import Quantity, heading, quantity, rank, title
from mt.evaluation.statistics import t_interval

Measured = Mapping[str, Any]
"""A row of the record's metrics."""
Key = tuple[str, str, str]
"""(model, benchmark, metric)."""


@dataclass(frozen=True)
class Cell:
    """A number of the results table, as text."""

    value: str
    interval: str
    n: str


@dataclass(frozen=True)
class Row:
    """A metric over iterations; `verdict` is "better", "worse" or ""."""

    title: str
    unit: str
    better: str
    minor: bool
    cells: list[Cell | None]
    change: str
    verdict: str


@dataclass(frozen=True)
class ResultsTable:
    """The results of one run: a group of rows per model and benchmark, a column per iteration."""

    iterations: list[int]
    groups: list[tuple[str, list[Row]]]


def results(run: Run) -> ResultsTable:
    """Return the results table of a run."""
    cells: dict[Key, dict[int, Measured]] = defaultdict(dict)
    for row in run.metrics:
        cells[key_of(row)][int(row["iteration"])] = row
    iterations = sorted({iteration for found in cells.values() for iteration in found})
    groups: dict[str, list[Row]] = defaultdict(list)
    for model, benchmark, metric in sorted(cells, key=order):
        one = _row(benchmark, metric, cells[model, benchmark, metric], iterations)
        groups[heading(model, benchmark)].append(one)
    return ResultsTable(iterations, list(groups.items()))


def charts(runs: Sequence[Run], variants: Sequence[str]) -> list[Chart]:
    """Return the charts over iterations: of one run, a line per metric of a family; of several, per variant."""
    values: dict[Key, dict[str, dict[int, list[Measured]]]] = defaultdict(_by_variant)
    for run, variant in zip(runs, variants, strict=True):
        for row in run.metrics:
            values[key_of(row)][variant][int(row["iteration"])].append(row)
    return _families(values) if len(runs) == 1 else [_compared(key, values[key]) for key in sorted(values, key=order)]


def order(key: Key) -> tuple[str, int]:
    """Sort key: the policy first, then as the catalogue has it."""
    return key[0], rank(*key[1:])


def key_of(row: Measured) -> Key:
    """Return what a row measures."""
    return str(row["model"]), str(row["benchmark"]), str(row["metric"])


def cell(row: Measured, known: Quantity) -> Cell:
    """Return a measured number as text."""
    n = row.get("n")
    low, high = row.get("low"), row.get("high")
    return Cell(known.format.text(row["value"]), known.format.interval(low, high), "" if n is None else f"{n:,}")


def average(rows: Sequence[Measured]) -> tuple[float, float | None, float | None, int | None]:
    """Return (value, low, high, n): one run's own interval, or the mean over runs with Student's."""
    if len(rows) == 1:
        return rows[0]["value"], rows[0].get("low"), rows[0].get("high"), rows[0].get("n")
    values = [float(row["value"]) for row in rows]
    found = t_interval(values)
    low, high = (found.low, found.high) if found else (None, None)
    return sum(values) / len(values), low, high, len(values)


def _by_variant() -> dict[str, dict[int, list[Measured]]]:
    return defaultdict(lambda: defaultdict(list))


def _families(values: Mapping[Key, Mapping[str, Mapping[int, list[Measured]]]]) -> list[Chart]:
    """Return one chart per family of metrics, a line per metric."""
    members: dict[Key, list[Key]] = defaultdict(list)
    for key in sorted(values, key=order):
        members[key[0], key[1], quantity(*key[1:]).family].append(key)
    return [_family(keys, {key: next(iter(values[key].values())) for key in keys}) for keys in members.values()]


def _family(keys: Sequence[Key], values: Mapping[Key, Mapping[int, list[Measured]]]) -> Chart:
    lines = {quantity(*key[1:]).line: values[key] for key in keys}
    chart = _chart(keys[0], [_series(name, by_iteration) for name, by_iteration in lines.items()])
    return replace(chart, alert=_harm({key[2]: values[key] for key in keys}))


def _harm(lines: Mapping[str, Mapping[int, list[Measured]]]) -> str:
    """Say where the best of K by the reward model is worse than any of the K: its choice then does harm."""
    best, mean = lines.get("best_of_k", {}), lines.get("mean_of_k", {})
    worse = [t for t in sorted(best) if t in mean and best[t][0]["value"] < mean[t][0]["value"]]
    return f"The reward model's choice is worse than chance at iteration {', '.join(map(str, worse))}." if worse else ""


def _compared(key: Key, by_variant: Mapping[str, Mapping[int, list[Measured]]]) -> Chart:
    """Return the chart of one metric, a line per variant."""
    return replace(
        _chart(key, [_series(variant, found) for variant, found in by_variant.items()]), title=title(*key[1:])
    )


def _chart(key: Key, series: list[Series]) -> Chart:
    model, benchmark, metric = key
    known = quantity(benchmark, metric)
    return Chart(
        title=known.family,
        kind=Kind.ITERATIONS,
        x=Axis("iteration", "d"),
        y=Axis(known.unit or known.title, known.format.d3),
        series=series,
        better=known.better,
        group=heading(model, benchmark),
        minor=known.minor,
    )


def _series(name: str, by_iteration: Mapping[int, list[Measured]]) -> Series:
    points = [average(by_iteration[iteration]) for iteration in sorted(by_iteration)]
    return Series(
        name=name,
        x=sorted(by_iteration),
        y=rounded([point[0] for point in points]),
        low=rounded([point[1] for point in points]),
        high=rounded([point[2] for point in points]),
        n=[point[3] for point in points],
    )


def _row(benchmark: str, metric: str, found: Mapping[int, Measured], iterations: Sequence[int]) -> Row:
    known = quantity(benchmark, metric)
    ordered = [found.get(iteration) for iteration in iterations]
    measured = [one for one in ordered if one]
    called = title(benchmark, metric)
    return Row(
        title=called,
        unit="" if known.unit in called.lower() else known.unit,
        better=known.better,
        minor=known.minor,
        cells=[cell(one, known) if one else None for one in ordered],
        change=_change(measured, known),
        verdict=_verdict(measured, known.better),
    )


def _change(measured: Sequence[Measured], known: Quantity) -> str:
    return known.format.difference(measured[-1]["value"] - measured[0]["value"]) if len(measured) > 1 else ""


def _verdict(measured: Sequence[Measured], better: str) -> str:
    """Return which way the metric went from first to last, where their intervals stand apart."""
    if len(measured) < 2 or not better:
        return ""
    first, last = measured[0], measured[-1]
    if any(row.get("low") is None or row.get("high") is None for row in (first, last)):
        return ""
    if last["low"] > first["high"]:
        return "better" if better == "higher" else "worse"
    if last["high"] < first["low"]:
        return "better" if better == "lower" else "worse"
    return ""
