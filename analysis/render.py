"""Tables as text, Markdown, LaTeX, CSV, HTML and JSON."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analysis.cells import Cell, Report
from analysis.grid import Line, comparison, header, lines, notes

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "−": "--", "–": "--", "·": r"$\cdot$", "…": r"\dots{}", "*": r"$^{*}$",
}  # fmt: skip


def text(report: Report) -> str:
    """Return a table for the terminal."""
    body = list(lines(report))
    rows = [[line.row, line.kind, *line.cells] for line in body]
    titles = ["", "", *(header(column) for column in report.columns)]
    groups = ["", "", *_spans([column.group for column in report.columns])]
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    widths[0] += 2
    heads = [groups, titles] if any(groups) else [titles]
    out = [report.spec.title, "", *(_aligned(head, widths) for head in heads)]
    previous = Line("", "", "", ())
    for line, row in zip(body, rows, strict=True):
        if line.group != previous.group:
            out += ["", line.group]
        row[0] = "" if line.row == previous.row else f"  {line.row}" if line.group else line.row
        out.append(_aligned(row, widths))
        previous = line
    extra = [comparison(one) for one in report.comparisons]
    return "\n".join([*out, "", *extra, *([""] if extra else []), *notes(report)])


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


def _spans(groups: Sequence[str]) -> list[str]:
    """Return each group's name over its first column only."""
    return [name if i == 0 or groups[i - 1] != name else "" for i, name in enumerate(groups)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*left, *right]).rstrip()


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"


def _texed(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(value: str) -> str:
    return "".join(_LATEX.get(character, character) for character in value)


def _esc(value: str) -> str:
    return html.escape(value)
