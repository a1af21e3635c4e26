"""What a table holds: estimates over repetitions, paired differences, and everything to be said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.spec import Column, TableSpec
from mt.evaluation.pairing import Difference
from mt.evaluation.statistics import t_interval


@dataclass(frozen=True)
class Measured:
    """One run's value, with the run's own interval where it has one."""

    value: float
    low: float | None
    high: float | None
    run: str


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over repetitions; with one repetition the interval is that of the run itself (over prompts)."""

    mean: float
    low: float | None
    high: float | None
    n: int
    over: Literal["seeds", "prompts"]


@dataclass(frozen=True)
class Cell:
    """One number of the table: the paper's, ours, and how ours compares."""

    row: str
    column: Column
    paper: Mapping[str, float]
    """Reported numbers by source (preprint, published), never mixed."""
    paper_gain: Mapping[str, float]
    """The paper's own difference to the row that this one is compared with, by source."""
    ours: MeanEstimate | None
    against: str
    """The row, or the number, that ours is compared with; empty for none."""
    difference: Difference | None
    """Paired over the repetitions that both have."""


@dataclass(frozen=True)
class RowDifference:
    """A difference between two rows in one column, and what is equal between them."""

    row: str
    against: str
    column: Column
    equal: str
    difference: Difference
    paper_gain: Mapping[str, float]
    """The same difference between the paper's numbers, by source."""


@dataclass(frozen=True)
class Report:
    """A table's cells and everything that has to be said about them."""

    spec: TableSpec
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, str], Cell]
    """By row and column name."""
    comparisons: Sequence[RowDifference]
    label: str
    """What our rows are called: "ours", or "world, 0.11M weights"."""
    judges: Sequence[str]
    conventions: Sequence[str]
    """By which conventions ours count RewardBench; empty where no column shows it."""
    data: Sequence[str]
    versions: Sequence[str]
    missing: Sequence[str]
    """Rows that have no number of ours, or none in a column that other rows have."""
    unmeasured: Sequence[str]
    """Columns that no run measured."""
    short: Sequence[str]
    """Rows with fewer repetitions than others."""
    command: str
    """The command that produces what is missing."""
    others: Sequence[str]
    """Groups of runs with other settings, each with the flag that selects it."""
    left_out: Sequence[str]
    """Runs that could not be used, and why."""

    @property
    def of_world(self) -> bool:
        """Whether the models are the world's tiny ones, whose levels say nothing beside the paper's."""
        return self.label != "ours"

    def pairs(self, row: str) -> int:
        """Return over how many repetitions a row is compared with another; 0 where it is not."""
        cells = [self.cells[row, column.name] for column in self.columns]
        return max((cell.difference.n or 0 for cell in cells if cell.difference), default=0)


def estimate(values: Sequence[Measured]) -> MeanEstimate:
    """Return the mean of at least one value with its 95% interval."""
    if len(values) == 1:
        return MeanEstimate(values[0].value, values[0].low, values[0].high, 1, "prompts")
    numbers = [one.value for one in values]
    interval = t_interval(numbers)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return MeanEstimate(float(np.mean(numbers)), low, high, len(numbers), "seeds")
