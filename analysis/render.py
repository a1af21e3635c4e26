"""Tables as text, Markdown, LaTeX, CSV, HTML and JSON; pandas writes what it can write."""

from __future__ import annotations

import html
import json
import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from analysis.cells import Report
from analysis.grid import comparison, grid, notes

_LATEX = {
    "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "−": "$-$", "–": "--", "·": r"$\cdot$",
    "…": r"\dots{}", "π": r"$\pi$", "σ": r"$\sigma$", "β": r"$\beta$", "ρ": r"$\rho$", "×": r"$\times$",
}  # fmt: skip

_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉ₜ₋", "0123456789t-", strict=True))

_STYLE = (
    "body{font:14px sans-serif} svg{max-width:100%;height:auto} "
    "td{padding:2px 10px;white-space:nowrap} td:nth-child(n+3){text-align:right}"
)


def text(report: Report, width: int | None = None) -> str:
    """Return a table for the terminal, without the columns that no run measured: a note names them.

    Where it is wider than `width` characters, it goes on below in panels.
    """
    whole = grid(report)
    measured = [column.full_title not in report.unmeasured for column in report.columns]
    said = [*map(comparison, report.comparisons), *notes(report)]
    return "\n\n".join(
        [report.spec.title, *_panels(whole.loc[:, measured], width), "\n".join(_wrapped(one, width) for one in said)]
    )


def _panels(whole: pd.DataFrame, width: int | None) -> Iterator[str]:
    """Yield as many panels as the columns need, each without the lines that say nothing there.

    A group of columns that fits into one panel stands in one.
    """
    start, count, groups = 0, whole.shape[1], list(whole.columns.get_level_values(0))
    aligned = whole.apply(_aligned)
    while start < count:
        end = start + 1
        while end < count and _width(aligned.iloc[:, start : end + 1]) <= (width or math.inf):
            end += 1
        if end < count and groups[end] == groups[end - 1]:
            begins = groups.index(groups[end], start)
            end = begins if begins > start else end
        yield _panel(aligned.iloc[:, start:end])
        start = end


def _panel(part: pd.DataFrame) -> str:
    kept = part[part.apply(lambda line: any(cell.strip() for cell in line), axis=1)]
    if not any(kept.columns.get_level_values(0)):
        kept = kept.droplevel(0, axis=1)
    lines = kept.droplevel(0).to_string().splitlines()
    titles = len(lines) - len(kept)
    groups = ["", *kept.index.get_level_values(0)]
    shown = lines[:titles]
    for before, group, line in zip(groups, groups[1:], lines[titles:], strict=False):
        shown += ["", group] if group != before else []
        shown.append(line)
    return "\n".join(line.rstrip() for line in shown)


def _width(part: pd.DataFrame) -> int:
    return max(map(len, _panel(part).splitlines()))


def _aligned(cells: pd.Series) -> pd.Series:
    """Return a column's texts, equally wide, their numbers below each other."""
    parts = [cell.partition(" ") for cell in cells]
    left, right = (max((len(part[side]) for part in parts), default=0) for side in (0, 2))
    return pd.Series([f"{value:>{left}} {rest:<{right}}" for value, _, rest in parts], index=cells.index)


def _wrapped(item: str, width: int | None) -> str:
    """Return a note on lines of at most `width` characters; one with a command stays whole, to be copied."""
    if width is None or "python -m" in item or "--where" in item:
        return item
    return textwrap.fill(item, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def markdown(report: Report) -> str:
    """Return a table for Markdown."""
    whole = _flat(report)
    rule = ["---", "---", *["---:"] * (whole.shape[1] - 2)]
    lines = [list(whole.columns), rule, *whole.to_numpy().tolist()]
    out = [f"**{report.spec.title}**", "", *map(_piped, lines), ""]
    return "\n".join([*out, *(f"- {item}" for item in [*map(comparison, report.comparisons), *notes(report)])])


def latex(report: Report) -> str:
    """Return a table for LaTeX (package booktabs), in ASCII."""
    whole = _flat(report)
    form = f"ll{'r' * (whole.shape[1] - 2)}"
    table = whole.to_latex(
        index=False, escape=True, column_format=form, caption=_escaped(report.spec.title), position="t"
    )
    said = [f"% {item}" for item in [*map(comparison, report.comparisons), *notes(report)]]
    return "\n".join(map(_ascii, [table.rstrip("\n"), *said]))


def page(drawn: Sequence[tuple[Report, str]]) -> str:
    """Return reports as a web page, each below its drawing (SVG, or "")."""
    parts = []
    for report, drawing in drawn:
        said = [*map(comparison, report.comparisons), *notes(report)]
        below = "".join(f"<li>{html.escape(item)}</li>" for item in said)
        table = _flat(report).to_html(index=False, border=0, escape=True)
        parts.append(f"<h2>{html.escape(report.spec.title)}</h2>\n{drawing}\n{table}\n<ul>{below}</ul>")
    return f"<!doctype html>\n<meta charset=utf-8>\n<style>{_STYLE}</style>\n" + "\n".join(parts)


def csv_table(report: Report) -> str:
    """Return one line per cell, with full precision; what is said below the other formats follows as comments."""
    cells = pd.DataFrame(list(cell_records(report)))
    return cells.to_csv(index=False, lineterminator="\n") + "\n".join(f"# {item}" for item in notes(report))


def as_json(reports: Sequence[Report]) -> str:
    """Return reports for machines."""
    return json.dumps([_plain(report) for report in reports], indent=1, ensure_ascii=False)


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "csv": csv_table,
}


def cell_records(report: Report) -> Iterator[dict[str, Any]]:
    """Yield every cell as a flat record with full precision."""
    for cell in report.cells.values():
        ours, gain = cell.ours, cell.difference
        yield {
            "table": report.spec.name,
            "row": cell.row,
            "column": cell.column.name,
            "preprint": cell.paper.get("preprint"),
            "published": cell.paper.get("published"),
            "ours": ours.mean if ours else None,
            "low": ours.low if ours else None,
            "high": ours.high if ours else None,
            "interval_over": ours.over if ours else None,
            "n": ours.n if ours else 0,
            "against": cell.against or None,
            "difference": gain.value if gain else None,
            "difference_low": gain.low if gain else None,
            "difference_high": gain.high if gain else None,
            "label": report.label,
            "judge": "; ".join(report.judges),
        }


def _plain(report: Report) -> dict[str, Any]:
    compared = [
        {"row": one.row, "against": one.against, "column": one.column.name, "equal": one.equal,
         "difference": one.difference.value, "low": one.difference.low, "high": one.difference.high,
         "n": one.difference.n}
        for one in report.comparisons
    ]  # fmt: skip
    named = (
        "label", "judges", "conventions", "data", "versions", "missing", "unmeasured", "short", "command", "others",
        "left_out",
    )  # fmt: skip
    return {
        "table": report.spec.name, "title": report.spec.title, "cells": list(cell_records(report)),
        "comparisons": compared, **{name: getattr(report, name) for name in named},
    }  # fmt: skip


def _flat(report: Report) -> pd.DataFrame:
    """Return the table's texts under one line of titles, the rows' names in columns of their own."""
    whole = grid(report)
    whole.columns = pd.Index([" ".join(filter(None, title)) for title in whole.columns])
    named = whole.droplevel(0).rename_axis(["", " "])
    return named.reset_index()


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"


def _escaped(value: str) -> str:
    """Return a caption whose underscores LaTeX reads as text; pandas escapes cells alone."""
    return value.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")


def _model(found: re.Match[str]) -> str:
    name, index = found[1].replace("π", r"\pi"), "".join(map(_SUBSCRIPTS.__getitem__, found[2]))
    return f"${name}_{index}$" if len(index) == 1 else f"${name}_{{{index}}}$"


def _ascii(value: str) -> str:
    """Return a text in ASCII: signs as LaTeX commands, letters without their accents, others by their number."""
    models = re.sub(rf"(π|r)([{''.join(_SUBSCRIPTS)}]+)", _model, value)
    named = "".join(_LATEX.get(character, character) for character in models)
    plain = "".join(one for one in unicodedata.normalize("NFKD", named) if not unicodedata.combining(one))
    return "".join(one if one.isascii() else f"[U+{ord(one):04X}]" for one in plain)
