"""Tables as text, Markdown, LaTeX, CSV, HTML and JSON."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analysis.cells import Cell, Report
from analysis.grid import Line, comparison, header, lines, notes
from analysis.specs import Column

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "−": "--", "–": "--", "·": r"$\cdot$", "…": r"\dots{}", "*": r"$^{*}$",
}  # fmt: skip


def text(report: Report, width: int | None = None) -> str:
    """Return a table for the terminal; where it is wider than `width` characters, it goes on below in panels."""
    extra = [comparison(one) for one in report.comparisons]
    said = [_wrapped(item, width) for item in [*extra, *([""] if extra else []), *notes(report)]]
    return "\n".join([report.spec.title, *_panels(report, width), "", *said])


def _panels(report: Report, width: int | None) -> Iterator[str]:
    """Yield the lines of as many panels as the columns need."""
    body = list(lines(report))
    columns = [_column(column, [line.cells[index] for line in body]) for index, column in enumerate(report.columns)]
    label = len(_labels(body)[0])
    start = 0
    while start < len(columns):
        end = start + 1
        while end < len(columns) and _width(label, columns[start : end + 1]) <= (width or math.inf):
            end += 1
        yield ""
        yield from _panel(body, _spans([one.group for one in report.columns[start:end]]), columns[start:end])
        start = end


def _panel(body: Sequence[Line], groups: Sequence[str], columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a panel of the lines that say something; a column holds its title, then a text for each line."""
    kept = [index for index in range(len(body)) if any(column[index + 1].strip() for column in columns)]
    head, *labels = _labels([body[index] for index in kept])
    if any(groups):
        over = [name.rjust(len(column[0])) for name, column in zip(groups, columns, strict=True)]
        yield "  ".join([head, *over]).rstrip()
    yield "  ".join([head, *(column[0] for column in columns)]).rstrip()
    group = ""
    for label, index in zip(labels, kept, strict=True):
        if body[index].group != group:
            group = body[index].group
            yield from ("", group)
        yield "  ".join([label, *(column[index + 1] for column in columns)]).rstrip()


def _labels(body: Sequence[Line]) -> list[str]:
    """Return what stands before the titles and before each line, equally wide: a new row's name, and the kind."""
    rows = [f"  {line.row}" if line.group else line.row for line in body]
    wide, kind = max(map(len, rows), default=0), max((len(line.kind) for line in body), default=0)
    shown = [row if i == 0 or row != rows[i - 1] else "" for i, row in enumerate(rows)]
    texts = [f"{row:<{wide}}  {line.kind:<{kind}}" for row, line in zip(shown, body, strict=True)]
    return [" " * (wide + 2 + kind), *texts]


def _column(column: Column, cells: Sequence[str]) -> list[str]:
    """Return a column's title and texts, equally wide, their numbers below each other."""
    parts = [cell.partition(" ") for cell in cells]
    left, right = (max((len(part[side]) for part in parts), default=0) for side in (0, 2))
    texts = [f"{value:>{left}} {rest:<{right}}" if right else value.rjust(left) for value, _, rest in parts]
    wide = max(map(len, [header(column), column.group, *texts]))
    return [one.rjust(wide) for one in (header(column), *texts)]


def _width(label: int, columns: Sequence[Sequence[str]]) -> int:
    return label + sum(2 + len(column[0]) for column in columns)


def _spans(groups: Sequence[str]) -> list[str]:
    """Return each group's name over its first column only."""
    return [name if i == 0 or groups[i - 1] != name else "" for i, name in enumerate(groups)]


def _wrapped(item: str, width: int | None) -> str:
    """Return a note on lines of at most `width` characters; one with a command stays whole, to be copied."""
    if width is None or "python -m" in item:
        return item
    return textwrap.fill(item, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def markdown(report: Report) -> str:
    """Return a table for Markdown."""
    titles = ["", "", *(f"{column.group} {header(column)}".strip() for column in report.columns)]
    out = [f"**{report.spec.title}**", "", _piped(titles), _piped(["---", "---", *["---:"] * len(report.columns)])]
    out += [_piped([line.row, line.kind, *line.cells]) for line in lines(report)]
    return "\n".join([*out, "", *(f"- {item}" for item in [*map(comparison, report.comparisons), *notes(report)])])


def latex(report: Report) -> str:
    """Return a table for LaTeX (packages booktabs and, for the arrows, nothing more)."""
    titles = ["", "", *(f"{column.group} {header(column)}".strip() for column in report.columns)]
    out = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(report.spec.title)}}}"]
    out += [rf"\begin{{tabular}}{{ll{'r' * len(report.columns)}}}", r"\toprule", _texed(titles), r"\midrule"]
    out += [_texed([line.row, line.kind, *line.cells]) for line in lines(report)]
    said = [*map(comparison, report.comparisons), *notes(report)]
    return "\n".join([*out, r"\bottomrule", r"\end{tabular}", *(f"% {item}" for item in said), r"\end{table}"])


def html_table(report: Report) -> str:
    """Return a table for a web page."""
    titles = "".join(f"<th>{_esc(f'{column.group} {header(column)}'.strip())}</th>" for column in report.columns)
    rows = "\n".join(
        f"<tr><th>{_esc(line.row)}</th><td>{_esc(line.kind)}</td>"
        f"{''.join(f'<td>{_esc(cell)}</td>' for cell in line.cells)}</tr>"
        for line in lines(report)
    )
    said = "".join(f"<li>{_esc(item)}</li>" for item in [*map(comparison, report.comparisons), *notes(report)])
    head = f"<caption>{_esc(report.spec.title)}</caption>\n<thead><tr><th></th><th></th>{titles}</tr></thead>"
    return f"<table>\n{head}\n<tbody>\n{rows}\n</tbody>\n</table>\n<ul>{said}</ul>"


def csv_table(report: Report) -> str:
    """Return one line per cell, with full precision; what is said below the other formats follows as comments."""
    records = list(cell_records(report))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue() + "\n".join(f"# {item}" for item in notes(report))


def as_json(reports: Sequence[Report]) -> str:
    """Return reports for machines."""
    return json.dumps([_plain(report) for report in reports], indent=1, ensure_ascii=False)


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "csv": csv_table,
    "html": html_table,
}


def cell_records(report: Report) -> Iterator[dict[str, Any]]:
    """Yield every cell as a flat record with full precision."""
    for cell in report.cells.values():
        yield {"table": report.spec.name, "row": cell.row, "column": cell.column.name, **_numbers(cell)} | {
            "judge": "; ".join(report.judges)
        }


def _numbers(cell: Cell) -> dict[str, Any]:
    ours, gain = cell.ours, cell.difference
    return {
        "preprint": cell.paper.get("preprint"),
        "published": cell.paper.get("published"),
        "ours": ours.mean if ours else None,
        "low": ours.low if ours else None,
        "high": ours.high if ours else None,
        "interval_over": ours.over if ours else None,
        "n": ours.n if ours else 0,
        "against": gain.against if gain else None,
        "difference": gain.mean if gain else None,
        "difference_low": gain.low if gain else None,
        "difference_high": gain.high if gain else None,
        "p_value": gain.p_value if gain else None,
        "significant": gain.significant if gain else None,
    }


def _plain(report: Report) -> dict[str, Any]:
    compared = [
        {"row": one.row, "against": one.difference.against, "column": one.column.name, "equal": one.equal,
         "difference": one.difference.mean, "low": one.difference.low, "high": one.difference.high,
         "n": one.difference.n, "p_value": one.difference.p_value}
        for one in report.comparisons
    ]  # fmt: skip
    return {
        "table": report.spec.name, "title": report.spec.title, "cells": list(cell_records(report)),
        "comparisons": compared, "judges": report.judges, "data": report.data, "versions": report.versions,
        "missing": report.missing, "unmeasured": report.unmeasured, "short": report.short,
        "command": report.command, "left_out": report.left_out,
    }  # fmt: skip


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"


def _texed(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(value: str) -> str:
    return "".join(_LATEX.get(character, character) for character in value)


def _esc(value: str) -> str:
    return html.escape(value)
