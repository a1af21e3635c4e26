"""What a table is, as data: rows are runs, columns are metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.paper import PaperColumn
from mt.evaluation.catalogue import Quantity, quantity


@dataclass(frozen=True)
class Column:
    """A metric of the policy or of the reward model."""

    title: str
    key: PaperColumn
    group: str = ""
    model: Literal["policy", "reward"] = "policy"
    digits: int | None = None
    """Decimals; None takes the catalogue's."""
    iteration: int | None = None
    """The iteration that is read; None leaves it to the row."""
    chance: float | None = None
    """The value of no difference, for metrics that are comparisons themselves (50% wins)."""
    optional: bool = False
    """Shown only where some run measured it."""

    @property
    def quantity(self) -> Quantity:
        """What the catalogue says of the metric; numbers are printed in its unit."""
        return quantity(*self.key)

    @property
    def better(self) -> str:
        """The better direction: "higher", "lower" or ""."""
        return self.quantity.better

    def text(self, value: float, sign: str = "") -> str:
        """Return a number in the printed unit as text; `sign` is "+" for differences. What rounds to 0 has no sign."""
        digits = self.quantity.format.digits if self.digits is None else self.digits
        text = f"{value:{sign}.{digits}f}"
        return text.replace("-", "−") if re.search("[1-9]", text) else text.lstrip("+-")

    @property
    def name(self) -> str:
        """The column's name in machine-readable output."""
        suffix = f"@{self.iteration}" if self.iteration is not None else ""
        return f"{self.model}.{self.key[0]}.{self.key[1]}{suffix}"

    @property
    def place(self) -> tuple[str, str, str]:
        """What is measured: (model, benchmark, metric)."""
        return self.model, *self.key

    @property
    def full_title(self) -> str:
        """The title with its group."""
        return f"{self.group} {self.title}".strip()


@dataclass(frozen=True)
class RowSpec:
    """Runs that are repetitions of one experiment, at one iteration."""

    title: str
    select: Mapping[str, Any] | None
    """Settings of the runs (None for a row that only the paper has)."""
    iteration: int = 0
    """The iteration that is read; of a run that stopped before, the one that it ended with."""
    group: str = ""
    against: str | None = None
    """The row that this one is compared with; None takes the table's."""
    short: str = ""
    """What the row is called where others are compared with it; empty takes the title."""
    suffix: str = ""
    """What follows the columns' metrics in this row: "_vs_previous" reads win_vs_previous where the column says win."""

    def place(self, column: Column) -> tuple[str, str, str]:
        """What the row shows in a column: (model, benchmark, metric)."""
        model, benchmark, metric = column.place
        return model, benchmark, metric + self.suffix


@dataclass(frozen=True)
class TableSpec:
    """A table: rows, columns, what rows are compared with, and the experiment that produces it."""

    name: str
    title: str
    rows: tuple[RowSpec, ...]
    columns: tuple[Column, ...]
    against: str | None = None
    comparisons: tuple[tuple[str, str, str], ...] = ()
    """Further comparisons worth printing: (row, row, what is equal between them)."""
    judge: str | None = None
    """Who judges, where it is not the runs' own judge."""

    def row(self, title: str) -> RowSpec:
        """Return a row by its title."""
        return next(row for row in self.rows if row.title == title)

    def short(self, against: str) -> str:
        """Return how a row is called where others are compared with it."""
        return next((row.short for row in self.rows if row.title == against and row.short), against)
