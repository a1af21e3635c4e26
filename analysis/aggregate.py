"""From the frame to the cells of a table: repetitions are averaged and paired, nothing else is ever averaged."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.cells import Cell, Measured, Report, RowDifference, estimate
from analysis.frame import NOTES
from analysis.groups import Groups, fits
from analysis.paper import SOURCES
from analysis.settings import world_weights
from analysis.spec import Column, RowSpec, TableSpec
from mt.config.fields import setting
from mt.engines.judging.base import judged_by
from mt.evaluation.pairing import Difference, over_seeds
from mt.runtime.text import counted, shortened

Repetition = tuple[int, int]
"""(world seed, seed)."""
_ROW = frozenset(
    {"experiment", "seed", "world_seed", "name", "sweep", "method", "objective", "rm_data", "iterations", "rounds"}
)
"""Settings that an experiment makes for each of its runs."""
_SHOWN = 5
"""Names in a list of what is left out."""


def aggregate(spec: TableSpec, frame: pd.DataFrame) -> Report:
    """Return the report of a table, from the newest of the most complete groups of runs that agree.

    Runs that fit no row, or have other settings than the group, are left out and named.
    """
    table = _Table(spec, frame)
    columns = tuple(column for column in spec.columns if not column.optional or table.is_measured(column))
    cells = {(row.title, column.name): table.cell(row, column) for row in spec.rows for column in columns}
    used, notes = frame[frame["run"].isin(table.used)], frame.attrs.get(NOTES, [])
    configs = [table.configs[run] for run in table.used]
    judges = {judged_by(config["judge"]) for config in configs if isinstance(config.get("judge"), Mapping)}
    conventions = {str(setting(config, "eval.reward_bench.convention") or "current") for config in configs}
    return Report(
        spec,
        columns,
        cells,
        list(table.comparisons(columns)),
        label=label(configs),
        judges=[spec.judge] if spec.judge is not None else sorted(judges),
        conventions=sorted(conventions) if any(one.key[0] == "reward_bench" for one in columns) else [],
        data=_distinct(used["data"] + " at scale " + used["scale"]),
        versions=_distinct(used["versions"]),
        missing=_missing(spec, columns, cells),
        unmeasured=_unmeasured(columns, cells),
        short=_short(cells),
        command=_command(spec, configs, used["command"]),
        others=table.others(),
        left_out=[*table.left_out(), *shortened(notes, _SHOWN)],
    )


def label(configs: Sequence[Mapping[str, Any]]) -> str:
    """Return what our rows are called: "ours", or for the world's tiny models what they are."""
    if not configs or setting(configs[0], "data.name") != "world":
        return "ours"
    sizes = sorted({world_weights(config) for config in configs if not setting(config, "policy.path")})
    return ", ".join(["world", *(f"{size / 1e6:.2g}M weights" for size in sizes)])


class _Table:
    """The frame as one table looks at it."""

    def __init__(self, spec: TableSpec, frame: pd.DataFrame) -> None:
        self.spec = spec
        runs = frame.drop_duplicates("run").sort_values(["ended", "run"], ascending=[False, True])
        self.configs: dict[str, dict[str, Any]] = {
            run: json.loads(text) for run, text in zip(runs["run"], runs["config"], strict=True)
        }
        self.ended = {
            run: int(final) for run, final in zip(runs["run"], runs["final"], strict=True) if final is not pd.NA
        }
        self.found = _measured(frame)
        places = {run: {place for place, _ in found} for run, found in self.found.items()}
        names = {
            run: [column.name for column in spec.columns if column.place in places.get(run, ())] for run in self.configs
        }
        self.groups = Groups(spec, self.configs, names)
        self.used = list(self.groups.ranked[0].runs) if self.groups.ranked else []
        self._values: dict[tuple[str, str], dict[Repetition, Measured]] = {}
        self._differing: dict[str, str] = {}

    def values(self, row: RowSpec, column: Column) -> dict[Repetition, Measured]:
        """Return a row's values by repetition; of two runs of one seed the newer one counts."""
        key = (row.title, column.name)
        if key not in self._values:
            found = self._values[key] = {}
            for run in self.used:
                config = self.configs[run]
                iteration = min(row.iteration, self.ended.get(run, row.iteration))
                iteration = iteration if column.iteration is None else column.iteration
                one = self.found[run].get((row.place(column), iteration))
                if one is None or not fits(config, row.select):
                    continue
                scale = column.quantity.format.scale
                low, high = (None if side is None else side * scale for side in (one.low, one.high))
                printed = Measured(one.value * scale, low, high, run)
                known = found.setdefault((config["world_seed"], config["seed"]), printed)
                if not math.isclose(known.value, printed.value, rel_tol=1e-9, abs_tol=1e-12):
                    self._differing[run] = known.run
        return self._values[key]

    def cell(self, row: RowSpec, column: Column) -> Cell:
        """Return one cell."""
        values = self.values(row, column)
        ours = estimate(list(values.values())) if values else None
        if column.chance is not None:
            change = over_seeds([one.value - column.chance for one in values.values()])
            return Cell(row.title, column, self.paper(row, column), {}, ours, f"{column.chance:g}", change)
        against = row.against or self.spec.against or row.title
        if against == row.title:
            return Cell(row.title, column, self.paper(row, column), {}, ours, "", None)
        other = self.spec.row(against)
        gains, change = self.paper_gain(row, other, column), self.against(row, other, column)
        return Cell(row.title, column, self.paper(row, column), gains, ours, against, change)

    def against(self, row: RowSpec, other: RowSpec, column: Column) -> Difference | None:
        """Return the difference between two rows, over the repetitions that both have."""
        ours, theirs = self.values(row, column), self.values(other, column)
        return over_seeds([ours[key].value - theirs[key].value for key in sorted(ours.keys() & theirs.keys())])

    def paper_gain(self, row: RowSpec, other: RowSpec, column: Column) -> dict[str, float]:
        """Return the same difference between the paper's numbers, within each source."""
        reported, reference = self.paper(row, column), self.paper(other, column)
        return {name: value - reference[name] for name, value in reported.items() if name in reference}

    def comparisons(self, columns: Sequence[Column]) -> Iterable[RowDifference]:
        """Yield the further comparisons that the table declares."""
        for title, against, equal in self.spec.comparisons:
            row, other = self.spec.row(title), self.spec.row(against)
            for column in columns:
                found = self.against(row, other, column)
                if found is not None and column.better:
                    yield RowDifference(title, against, column, equal, found, self.paper_gain(row, other, column))

    def paper(self, row: RowSpec, column: Column) -> dict[str, float]:
        """Return the reported numbers of a cell by source."""
        found = {source.name: source.value(self.spec.name, row.title, column.key) for source in SOURCES}
        return {name: value for name, value in found.items() if value is not None}

    def is_measured(self, column: Column) -> bool:
        """Say whether any row has a number of ours in this column."""
        return any(self.values(row, column) for row in self.spec.rows)

    def others(self) -> list[str]:
        """Return the groups that are not shown, each with the flag that selects it."""
        rows = sum(row.select is not None for row in self.spec.rows)
        found = self.groups.ranked[1:]
        named = [
            f"{self.groups.flag(one)} ({counted(len(one.runs), 'run')}, {one.rows} of {rows} rows)" for one in found
        ]
        return shortened(named, _SHOWN)

    def left_out(self) -> list[str]:
        """Return what no row reads, and which runs contradict a newer one of the same settings and seed."""
        foreign = [run for run in self.configs if run not in self.groups.configs]
        older = [f"{run} than {newer}" for run, newer in self._differing.items()]
        return [
            *([f"{counted(len(foreign), 'run')} that no row declares ({_names(foreign)})"] if foreign else []),
            *([f"other numbers than a newer run of the same settings and seed: {_names(older)}"] if older else []),
        ]


def _measured(frame: pd.DataFrame) -> dict[str, dict[tuple[tuple[str, str, str], int], Measured]]:
    """Return what was measured by run, and there by ((model, benchmark, metric), iteration)."""
    names = ("run", "model", "benchmark", "metric", "iteration", "value", "low", "high")
    found: dict[str, dict[tuple[tuple[str, str, str], int], Measured]] = {}
    for run, *place, iteration, value, low, high in zip(*(frame[name] for name in names), strict=True):
        one = Measured(float(value), _known(low), _known(high), run)
        found.setdefault(run, {})[(place[0], place[1], place[2]), int(iteration)] = one
    return found


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
    """Return the settings that all commands name, without those that distinguish the rows of a table."""
    first, *others = [shlex.split(command) for command in dict.fromkeys(commands)] or [[]]
    settings = [word for word in first if "=" in word and word.lstrip("+").partition("=")[0].split(".")[0] not in _ROW]
    return [word for word in settings if all(word in other for other in others)]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _distinct(values: pd.Series) -> list[str]:
    return sorted({str(value) for value in values if value})


def _names(runs: Sequence[str]) -> str:
    return ", ".join(shortened(runs, _SHOWN))
