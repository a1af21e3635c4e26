"""The table at the end of a run: columns declared as data, cells from the record's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mt.door.record import RECORD


@dataclass(frozen=True)
class Column:
    """One column: which metric it shows, and how."""

    title: str
    model: str
    benchmark: str
    metric: str
    format: str = "{:.3f}"
    interval: bool = False


POLICY = (
    Column("win rate vs base\n(gold, 95% CI)", "policy", "gold", "win_rate", "{:.1%}", True),
    Column("gold\nreward", "policy", "gold", "mean_reward"),
    Column("proxy reward\n(r₀)", "policy", "proxy", "mean_reward_base"),
    Column("proxy reward\n(rₜ)", "policy", "proxy", "mean_reward"),
    Column("win rate vs base\n(by r₀, 95% CI)", "policy", "proxy", "win_rate_base", "{:.1%}", True),
    Column("length\n(tokens)", "policy", "gold", "length", "{:.1f}"),
    Column("length\n(characters)", "policy", "proxy", "length", "{:.1f}"),
    Column("selected pairs\nright (gold)", "policy", "labels", "selected_accuracy", "{:.1%}"),
)
REWARD = (
    Column("accuracy on the\npolicy's responses", "reward", "gold", "accuracy", "{:.1%}", True),
    Column("Chat", "reward", "gold", "section_chat", "{:.1%}"),
    Column("Chat Hard", "reward", "gold", "section_chat_hard", "{:.1%}"),
    Column("Safety", "reward", "gold", "section_safety", "{:.1%}"),
    Column("Reasoning", "reward", "gold", "section_reasoning", "{:.1%}"),
    Column("average", "reward", "gold", "section_average", "{:.1%}"),
    Column("D(PM) pairs\nright (gold)", "policy", "labels", "self_training_accuracy", "{:.1%}"),
    Column("contrast pairs\nright (gold)", "policy", "labels", "contrast_accuracy", "{:.1%}"),
)


def print_summary(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    """Print the policy's and the reward model's table, what was computed, and where everything lies."""
    cells = {(m["iteration"], m["model"], m["benchmark"], m["metric"]): m for m in record["metrics"]}
    iterations = sorted({key[0] for key in cells})
    for title, columns in (("Policy", POLICY), ("Reward model", REWARD)):
        if table := _table(title, columns, cells, iterations):
            console.print(table)
    if iterations and not any(key[2] == "gold" for key in cells):
        console.print("No gold metrics: this data has no gold judge (only data=world has one).", style="yellow")
    _print_places(console, record, folder)


def _table(
    title: str, columns: Sequence[Column], cells: Mapping[Any, Mapping[str, Any]], iterations: Sequence[int]
) -> Table | None:
    """Return a table of the columns that have any value, or None where none has."""
    shown = [c for c in columns if any((i, c.model, c.benchmark, c.metric) in cells for i in iterations)]
    if not shown:
        return None
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    table.add_column("iteration", justify="right")
    for column in shown:
        table.add_column(column.title, justify="right")
    for i in iterations:
        found = [cells.get((i, c.model, c.benchmark, c.metric)) for c in shown]
        table.add_row("base" if i == 0 else str(i), *map(_cell, shown, found))
    return table


def _cell(column: Column, metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "–"
    text = column.format.format(metric["value"])
    if column.interval and metric["low"] is not None:
        low, high = (column.format.format(metric[side]) for side in ("low", "high"))
        text += f" [{low}, {high}]"
    return text


def _print_places(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    computed = [stage for stage in record["stages"] if stage["state"] == "computed"]
    seconds = sum(stage["seconds"] or 0 for stage in computed)
    total = len(record["stages"])
    console.print(f"{total} stages, {len(computed)} computed by this run in {seconds:.0f} s, the others reused.")
    console.print(f"record   {folder / RECORD}", soft_wrap=True)
    console.print(f"metrics  {folder / 'metrics.csv'}", soft_wrap=True)
    console.print(f"models   {folder / 'store'}/iteration_*-policy, iteration_*-reward", soft_wrap=True)
