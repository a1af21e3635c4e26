"""The end of a run on the screen: three sentences, one compact table, what went wrong, where everything lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mt.engines.judging.base import judged_by
from mt.evaluation.catalogue import MODELS, quantity, rank
from mt.running.comparison_table import print_answers
from mt.running.disagreements import MARGINS, recorded_disagreements
from mt.running.results import REPEATS, MetricKey, Results
from mt.running.warnings import alarms, kept_updates, spoiled
from mt.runtime.terminal import print_line
from mt.types import Metric

COMPACT: tuple[MetricKey, ...] = (
    ("policy", "gold", "win_rate"),
    ("policy", "gold", "mean_reward"),
    ("policy", "alpaca_eval", "lc_win_rate"),
    ("policy", "arena_hard", "score"),
    ("policy", "proxy", "win_rate_base"),
    ("policy", "gold", "length"),
    ("reward", "same_responses", "accuracy_base"),
    ("reward", "same_responses", "accuracy_previous"),
    ("reward", "gold", "accuracy"),
    ("reward", "preferences", "accuracy"),
    ("reward", "gold_base", "accuracy"),
    ("reward", "reward_bench", "average"),
    ("reward", "reward_bench_2", "average"),
)
"""What the table shows where it was measured; --details shows more, the report all."""
WITHOUT_GOLD: tuple[MetricKey, ...] = (
    ("policy", "proxy", "length"),
    ("reward", "same_responses", "agreement_base"),
    ("reward", "same_responses", "agreement_previous"),
)
"""What joins it where there is no gold judge."""


def print_summary(
    console: Console, record: Mapping[str, Any], folder: Path, sentences: Iterable[str], *, details: bool = False
) -> None:
    """Print the run's answers, its numbers, its warnings and its folder."""
    results = Results.of_record(record, folder)
    measured = {key for cells in results.found.values() for key in cells}
    _warn(console, spoiled(record, results))
    print_answers(console, sentences)
    has_gold = any(benchmark == "gold" for _, benchmark, _ in measured)
    chosen = [*COMPACT, *(() if has_gold else WITHOUT_GOLD)]
    detailed = (key for key in measured if not quantity(*key[1:]).minor and REPEATS.get(key) not in measured)
    unsorted = detailed if details else measured.intersection(chosen)
    shown = sorted(unsorted, key=lambda key: (key[0], rank(*key[1:]), key[2]))
    if shown:
        console.print()
        table, intervals = _fitting(shown, results, console)
        console.print(table)
        notes = ". ".join([intervals, *_notes(record, shown, details=details)])
        console.print(f"{notes}.", style="dim", highlight=False, markup=False)
    if details:
        _print_disagreements(console, record, folder)
    _warn(console, alarms(results))
    shares = [share for _, share in kept_updates(record)]
    if shares and details:
        span = " to ".join(dict.fromkeys(f"{share:.1%}" for share in (min(shares), max(shares))))
        text = f"The published models keep {span} of what training changed in their weights"
        console.print(f"{text}; rounding to trainer.publish_dtype loses the rest.", highlight=False)
    print_line(console, f"folder   {folder}")


def _fitting(keys: Sequence[MetricKey], results: Results, console: Console) -> tuple[Table, str]:
    """Return the table with its intervals beside the values, below them, or without them: the first that fits.

    The text says what the intervals are, or how wide a console shows them.
    """
    unlimited, needed = console.options.update(max_width=1000), 0
    for between in (" ", "\n"):
        table = _table(keys, results, between)
        if (needed := Measurement.get(console, unlimited, table).maximum) <= console.width:
            return table, "95% intervals over prompts, of one seed"
    return _table(keys, results, None), f"95% intervals show at {needed} columns"


def _table(keys: Iterable[MetricKey], results: Results, between: str | None) -> Table:
    """Return a table; `between` separates values from their intervals, None leaves those out."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("")
    for i in sorted(results.found):
        table.add_column("base" if i == 0 else f"iteration {i}", justify="right")
    model = ""
    for key in keys:
        if key[0] != model:
            model = key[0]
            table.add_row(f"[bold]{MODELS[model]}[/bold]")
        cells = (_cell(results.metric(i, *key), between) for i in sorted(results.found))
        table.add_row(quantity(*key[1:]).title, *cells)
    return table


def _cell(metric: Metric | None, between: str | None) -> str:
    if metric is None:
        return "–"
    form = quantity(metric.benchmark, metric.metric).format
    interval = form.interval(metric.low, metric.high) if between is not None else ""
    return form.text(metric.value) + (f"{between}\\{interval}" if interval else "")


def _print_disagreements(console: Console, record: Mapping[str, Any], folder: Path) -> None:
    """Print the pairs of responses that r_t and r_0 order the other way round, each text on one line."""
    if not (found := recorded_disagreements(record, folder)):
        return
    console.print(f"\n[bold]Where rₜ and r₀ disagree most[/bold], one pair of responses for each prompt. {MARGINS}")
    for pair in found:
        named = {"prompt": pair.prompt, "rₜ prefers": pair.preferred, "r₀ prefers": pair.other}
        console.print()
        for name, text in {**named, "margins": ", ".join(pair.margins)}.items():
            line = f"{name:<12}{' '.join(text.split())}"
            console.print(line, highlight=False, markup=False, no_wrap=True, overflow="ellipsis")
    console.print()


def _notes(record: Mapping[str, Any], shown: Sequence[MetricKey], *, details: bool) -> list[str]:
    """Return what the reader of the table has to know."""
    names = {"alpaca_eval": "AlpacaEval", "arena_hard": "Arena-Hard"}
    judged = [name for benchmark, name in names.items() if any(key[1] == benchmark for key in shown)]
    notes = [f"Judge of {' and '.join(judged)}: {judged_by(record['config']['judge'])}"] if judged else []
    if not any(key[1] == "gold" for key in shown):
        notes.append("This data has no gold judge (data=world and data=instructions have one)")
    return notes if details else [*notes, "The report shows every metric, --details most of them"]


def _warn(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        print_line(console, f"warning  {line}", "yellow")
