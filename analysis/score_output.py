"""How scores are shown: one JSON object, or a table."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from mt.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class NamedScores:
    """Named values in the order in which they are shown, and what the reader should know beside them."""

    title: str
    values: dict[str, Any]
    notes: list[str]


def with_interval(name: str, value: float | None, interval: Interval | None) -> dict[str, float | None]:
    """Return a value and its bounds as name, name_low and name_high."""
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def print_json(scores: NamedScores) -> None:
    """Print the values as one JSON object; what is not a finite number is null."""
    print(json.dumps(_finite(scores.values), indent=2, allow_nan=False))


def print_table(scores: NamedScores) -> None:
    """Print the values as a table, each with its interval."""
    from rich import box
    from rich.table import Table

    from mt.runtime.terminal import terminal

    table = Table(title=scores.title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "value", "interval"):
        # Only values give way, on several lines: they may be a model's long name, which must hide no number.
        table.add_column(heading, justify="right" if heading else "left", no_wrap=heading != "value", overflow="fold")
    for name, value in scores.values.items():
        if name.endswith(("low", "high")) or isinstance(value, dict):
            continue  # bounds stand beside their value, and whole mappings are printed with --json
        low, high = (scores.values.get(f"{name}_{side}") for side in ("low", "high"))
        if name in ("score", "difference"):
            low, high = scores.values["low"], scores.values["high"]
        bounds = "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
        table.add_row(name.replace("_", " "), _text(value), bounds)
    terminal(None, highlight=False, markup=False).print(table)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if 0 < abs(value) < 0.01 else f"{value:.2f}"
    return "–" if value is None else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
