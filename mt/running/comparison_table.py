"""A comparison of runs on the screen: what the reference measured, and what the others differ by."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mt.evaluation.catalogue import MODELS, quantity
from mt.evaluation.pairing import Difference
from mt.running.answers import answers_of_record
from mt.running.comparison import VariantComparison, compare
from mt.running.results import MetricKey
from mt.runtime.terminal import print_line
from mt.types import Metric
from mt.workflow.run_record import read_record

_NARROW = 24
"""Characters of a variant's name in a line, where there is no room for all of it."""
_LEAST = 12
"""Characters of a heading in a line, at least."""
_UNPAIRED = "~"
_COLOURS = {1: "green", 0: "", -1: "red"}


def print_findings(console: Console, folders: Sequence[Path]) -> None:
    """Print the findings of a sweep: the comparison of its finished runs, or the answers of the only one."""
    if len(folders) > 1:
        print_comparison(console, compare(folders, named=False))
        return
    print_answers(console, answers_of_record(read_record(folders[0])).values())


def print_answers(console: Console, sentences: Iterable[str]) -> None:
    """Print the answers; a command on a line of its own, which the terminal wraps, so that it can be copied."""
    for sentence in sentences:
        text, colon, command = sentence.partition(": python -m ")
        console.print(f"• {text}{colon[:1]}", highlight=False, markup=False)
        if command:
            print_line(console, f"  python -m {command}")


def print_comparison(console: Console, found: VariantComparison) -> None:
    """Print a table for each model, in parts that fit the console, and what the reader has to know."""
    keys = found.keys
    for model, heading in MODELS.items():
        rest = [key for key in keys if key[0] == model]
        while rest:
            shown, table = _fitting(found, rest, heading, console)
            console.print(table, crop=False)
            console.print()
            rest = rest[shown:]
    for line in _notes(found):
        console.print(line, style="dim", highlight=False, markup=False)


def _fitting(found: VariantComparison, keys: Sequence[MetricKey], heading: str, console: Console) -> tuple[int, Table]:
    """Return how many of the metrics fit the console's width beside each other, at least one, and their table.

    A table of one metric may be wider than the console: the terminal wraps its lines, and no number is cut.
    """
    unlimited = console.options.update(max_width=1000)
    for count in range(len(keys), 0, -1):
        for names in (1000, _NARROW):
            table = _table(found, keys[:count], heading, names)
            table.width = Measurement.get(console, unlimited, table).maximum
            if table.width <= console.width:
                return count, table
    return 1, table


def _table(found: VariantComparison, keys: Sequence[MetricKey], heading: str, names: int) -> Table:
    """Return the reference's values and the others' differences; `names` is how wide a variant's name may be.

    Names and headings are wrapped here: rich would make room by cutting numbers, too.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column(heading, vertical="bottom", no_wrap=True)
    table.add_column("t", justify="right", vertical="bottom", no_wrap=True)
    rows = [
        (name, t, [_cell(one, key) for one, key in zip(cells, keys, strict=True)])
        for name, t, cells in found.rows(keys)
        if any(one is not None for one in cells)
    ]
    for at, key in enumerate(keys):
        width = max([_LEAST, *(len(cells[at]) for _, _, cells in rows)])
        table.add_column(_wrapped(quantity(*key[1:]).title, width), justify="right", vertical="bottom", no_wrap=True)
    shown = ""
    for name, t, cells in rows:
        if name != shown and shown:
            table.add_section()
        table.add_row(_wrapped(name, names) if name != shown else "", str(t), *cells)
        shown = name
    return table


def _wrapped(text: str, width: int) -> Text:
    """Return a text in lines of at most `width` characters, or of its longest word where that is longer."""
    return Text("\n".join(textwrap.wrap(text, width, break_long_words=False)))


def _cell(found: Metric | Difference | None, key: MetricKey) -> Text:
    """Return a value, or a difference in the colour that says whether it is an improvement; each with its interval."""
    if found is None:
        return Text("–")
    known = quantity(*key[1:])
    interval = known.format.interval(found.low, found.high)
    if isinstance(found, Metric):
        return Text(f"{known.format.text(found.value).split(' ')[0]} {interval}".strip())
    text = known.format.difference(found.value).removesuffix(known.format.change).strip()
    better = {"higher": 1, "lower": -1, "": 0}[known.better]
    mark = _UNPAIRED if _is_unpaired(found) else ""
    return Text(f"{text} {interval}{mark}".strip(), style=_COLOURS[found.sign * better])


def _is_unpaired(found: Difference) -> bool:
    return found.over == "unpaired" and found.low is not None


def _notes(found: VariantComparison) -> list[str]:
    """Return what the numbers are."""
    several = max(len(variant.runs) for variant in found.variants) > 1
    if len(found.variants) == 1:
        seeds = "The runs differ by seed alone: there is nothing to compare them with. 95% intervals over seeds"
        single = "This is one run: there is nothing to compare it with. 95% intervals over prompts"
        notes = [f"{seeds if several else single}; t is the iteration."]
    else:
        name = found.reference.name
        over = "over seeds where there are several" if several else "over the prompts of one seed, in pairs"
        notes = [
            f"Rows of {name} show values, the other rows differences from them (of percentages, in points).",
            f"95% intervals {over}; t is the iteration.",
        ]
    cells = [one for _, _, row in found.rows(found.keys) for one in row]
    if any(isinstance(one, Difference) and _is_unpaired(one) for one in cells):
        notes.append(f"{_UNPAIRED} not in pairs, so that the interval is too wide: the metric is no mean over prompts.")
    notes += [f"judge: {', '.join(found.judges)}"] if found.judges else []
    return [*notes, *found.notes]
