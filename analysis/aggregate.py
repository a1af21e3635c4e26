"""From the frame to the cells of a table: repetitions are averaged and paired, nothing else is ever averaged."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.cells import Cell, Comparison, Difference, Measured, Report, estimate, paired
from analysis.frame import NOTES
from analysis.paper import SOURCES
from analysis.settings import first_difference, identity, matches, setting
from analysis.specs import Column, Row, TableSpec
from mt.engines.judging.base import judged_by
from mt.errors import DataError

Repetition = tuple[int, int]
"""(world seed, seed)."""
Place = tuple[int, str, str, str]
"""(iteration, model, benchmark, metric)."""
_ROW = frozenset(
    {"experiment", "seed", "world_seed", "name", "sweep", "method", "objective", "rm_data", "iterations", "rounds"}
)
"""Settings that an experiment makes for each of its runs."""


def aggregate(spec: TableSpec, frame: pd.DataFrame) -> Report:
    """Return the report of a table.

    Raises DataError where runs that differ in more than their seeds would share a cell, or runs of different data
    or judges the table.
    """
    seen = _Seen(spec, frame)
    seen.refuse_mixtures()
    columns = tuple(column for column in spec.columns if not column.optional or seen.is_measured(column))
    cells = {(row.title, column.name): seen.cell(row, column) for row in spec.rows for column in columns}
    used = frame[frame["run"].isin(seen.used)]
    return Report(
        spec,
        columns,
        cells,
        list(seen.comparisons(columns)),
        judges=[spec.judge] if spec.judge is not None else _judges(seen.configs[run] for run in seen.used),
        data=_distinct(used["data"] + " at scale " + used["scale"]),
        versions=_distinct(used["versions"]),
        missing=_missing(spec, columns, cells),
        unmeasured=_unmeasured(columns, cells),
        short=_short(cells),
        command=_command(spec, [seen.configs[run] for run in seen.used], used["command"]),
        left_out=list(frame.attrs.get(NOTES, [])),
    )


class _Seen:
    """The frame as one table looks at it."""

    def __init__(self, spec: TableSpec, frame: pd.DataFrame) -> None:
        self.spec, self.frame = spec, frame
        texts = dict(zip(frame["run"], frame["config"], strict=True))
        self.configs: dict[str, dict[str, Any]] = {run: json.loads(text) for run, text in texts.items()}
        self._values: dict[tuple[str, str], dict[Repetition, Measured]] = {}

    @cached_property
    def used(self) -> list[str]:
        """The runs of any row."""
        return list(dict.fromkeys(run for row in self.spec.rows for run in self.runs(row)))

    @cached_property
    def measured(self) -> dict[Place, list[Measured]]:
        """What was measured, by place."""
        names = ("iteration", "model", "benchmark", "metric", "value", "low", "high", "run")
        found: dict[Place, list[Measured]] = {}
        for *place, value, low, high, run in zip(*(self.frame[name] for name in names), strict=True):
            measured = Measured(float(value), _known(low), _known(high), run)
            found.setdefault((int(place[0]), place[1], place[2], place[3]), []).append(measured)
        return found

    def runs(self, row: Row) -> list[str]:
        """Return the runs of a row."""
        if row.select is None:
            return []
        wanted = row.select.items()
        return [
            run
            for run, config in self.configs.items()
            if all(matches(setting(config, path), value) for path, value in wanted)
        ]

    def values(self, row: Row, column: Column) -> dict[Repetition, Measured]:
        """Return a row's values by repetition."""
        key = (row.title, column.name)
        if key not in self._values:
            self._values[key] = self._read(row, column)
        return self._values[key]

    def _read(self, row: Row, column: Column) -> dict[Repetition, Measured]:
        iteration = row.iteration if column.iteration is None else column.iteration
        runs = set(self.runs(row))
        found: dict[Repetition, Measured] = {}
        for one in self.measured.get((iteration, column.model, *column.key), []):
            if one.run not in runs:
                continue
            config, printed = self.configs[one.run], _scaled(one, column.scale)
            known = found.setdefault((config["world_seed"], config["seed"]), printed)
            if not math.isclose(known.value, printed.value, rel_tol=1e-9, abs_tol=1e-12):
                raise _disagreement(row, column, known, printed)
        return found

    def cell(self, row: Row, column: Column) -> Cell:
        """Return one cell."""
        values = self.values(row, column)
        ours = estimate(list(values.values())) if values else None
        difference, gain = self._compared(row, column)
        return Cell(row.title, column, self.paper(row, column), gain, ours, difference)

    def _compared(self, row: Row, column: Column) -> tuple[Difference | None, dict[str, float]]:
        """Return our difference and the paper's to what the row is compared with."""
        if column.chance is not None:
            gains = [one.value - column.chance for one in self.values(row, column).values()]
            return paired(f"{column.chance:g}", gains), {}
        against = row.against or self.spec.against
        if against is None or against == row.title:
            return None, {}
        other = self.spec.row(against)
        return self.against(row, other, column), self.paper_gain(row, other, column)

    def against(self, row: Row, other: Row, column: Column) -> Difference | None:
        """Return the difference between two rows, over the repetitions that both have."""
        ours, theirs = self.values(row, column), self.values(other, column)
        gains = [ours[key].value - theirs[key].value for key in sorted(ours.keys() & theirs.keys())]
        return paired(other.title, gains)

    def paper_gain(self, row: Row, other: Row, column: Column) -> dict[str, float]:
        """Return the same difference between the paper's numbers, within each source."""
        reported, reference = self.paper(row, column), self.paper(other, column)
        return {name: value - reference[name] for name, value in reported.items() if name in reference}

    def comparisons(self, columns: Sequence[Column]) -> Iterable[Comparison]:
        """Yield the further comparisons that the table declares."""
        for title, against, equal in self.spec.comparisons:
            row, other = self.spec.row(title), self.spec.row(against)
            for column in columns:
                found = self.against(row, other, column)
                if found is not None and column.better:
                    yield Comparison(title, column, equal, found, self.paper_gain(row, other, column))

    def paper(self, row: Row, column: Column) -> dict[str, float]:
        """Return the reported numbers of a cell by source."""
        found = {source.name: source.value(self.spec.name, row.title, column.key) for source in SOURCES}
        return {name: value for name, value in found.items() if value is not None}

    def is_measured(self, column: Column) -> bool:
        """Say whether any row has a number of ours in this column."""
        return any(self.values(row, column) for row in self.spec.rows)

    def refuse_mixtures(self) -> None:
        """Raise DataError where runs of one row are no repetitions, or runs of one table no peers."""
        for row in self.spec.rows:
            if row.iteration > 0:
                self._refuse(f"row '{row.title}'", self.runs(row), lambda path: True)
        self._refuse(self.spec.name, self.used, lambda path: path.split(".")[0] in self.spec.same)

    def _refuse(self, where: str, runs: Sequence[str], counts: Callable[[str], bool]) -> None:
        kept = [{path: value for path, value in identity(self.configs[run]).items() if counts(path)} for run in runs]
        for run, settings in zip(runs, kept, strict=True):
            if found := first_difference(kept[0], settings):
                path, one, other = found
                raise DataError(
                    f"{where}: {runs[0]} and {run} differ in {path} ({_brief(one)} and {_brief(other)}), "
                    f"and are never averaged. Choose with --where {path}=… or --where sweep=…"
                )


def _missing(spec: TableSpec, columns: Sequence[Column], cells: Mapping[tuple[str, str], Cell]) -> list[str]:
    """Return what has no number of ours: whole rows, or columns within a row that other rows have."""
    unmeasured = _unmeasured(columns, cells)
    found = []
    for row in spec.rows:
        mine = [cells[row.title, column.name] for column in columns]
        lacking = [cell.column.full_title for cell in mine if cell.ours is None and not cell.column.optional]
        if row.select is None or not lacking:
            continue
        some = [title for title in lacking if title not in unmeasured]
        if all(cell.ours is None for cell in mine):
            found.append(row.title)
        elif some:
            found.append(f"{row.title} ({', '.join(some)})")
    return found


def _unmeasured(columns: Sequence[Column], cells: Mapping[tuple[str, str], Cell]) -> list[str]:
    """Return the columns in which no row has a number of ours."""
    measured = {cell.column.name for cell in cells.values() if cell.ours is not None}
    if not measured:
        return []  # then whole rows are missing, and are named as such
    return [column.full_title for column in columns if column.name not in measured]


def _short(cells: Mapping[tuple[str, str], Cell]) -> list[str]:
    """Return the rows that have fewer repetitions than others."""
    counts: dict[str, int] = {}
    for cell in cells.values():
        if cell.ours is not None:
            counts[cell.row] = max(counts.get(cell.row, 0), cell.ours.n)
    most = max(counts.values(), default=0)
    return [f"{row} ({n} of {most})" for row, n in counts.items() if n < most]


def _command(spec: TableSpec, configs: Sequence[Mapping[str, Any]], commands: Iterable[str]) -> str:
    """Return the command that makes the whole table like the runs at hand; what is there is reused."""
    seeds = sorted({config["seed"] for config in configs}) or [0, 1, 2]
    worlds = sorted({config["world_seed"] for config in configs})
    parts = ["python", "-m", "mt.run", "-m", f"experiment={spec.name}", f"seed={','.join(map(str, seeds))}"]
    parts += [f"world_seed={','.join(map(str, worlds))}"] if worlds not in ([], [0]) else []
    return shlex.join(parts + _shared_settings(commands))


def _shared_settings(commands: Iterable[str]) -> list[str]:
    """Return the settings that all commands name, but for those that tell the rows of a table apart."""
    first, *others = [shlex.split(command) for command in dict.fromkeys(commands)] or [[]]
    settings = [word for word in first if "=" in word and word.lstrip("+").partition("=")[0].split(".")[0] not in _ROW]
    return [word for word in settings if all(word in other for other in others)]


def _disagreement(row: Row, column: Column, one: Measured, other: Measured) -> DataError:
    what = f"{'/'.join(column.key)} ({one.value:g} and {other.value:g})"
    return DataError(
        f"row '{row.title}': {one.run} and {other.run} have the same settings and seed, but differ in {what}. "
        "Choose with --where run=… or --where sweep=…"
    )


def _scaled(one: Measured, factor: float) -> Measured:
    low, high = (None if side is None else side * factor for side in (one.low, one.high))
    return Measured(one.value * factor, low, high, one.run)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _judges(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the judges, each with whose prompt it reads."""
    return sorted({judged_by(config["judge"]) for config in configs if isinstance(config.get("judge"), Mapping)})


def _distinct(values: pd.Series) -> list[str]:
    return sorted({str(value) for value in values if value})


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
