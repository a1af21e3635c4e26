"""The paper's tables and figures from runs, beside the paper's numbers.

python -m analysis.tables table1 [--runs DIR | --wandb ENTITY/PROJECT] [--where objective=dpo] [--format latex]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.aggregate import aggregate
from analysis.cells import Report
from analysis.frame import LeftOut, load
from analysis.records import WANDB
from analysis.render import FORMATS, as_json, text
from analysis.report.library import library
from analysis.specs import SPECS
from mt.errors import DataError, MutualTaughtError, describe, nearest


def table(name: str, frame: pd.DataFrame) -> Report:
    """Return a table or figure of the paper as it comes out of a frame (`analysis.load`)."""
    if name not in SPECS:
        raise DataError(describe("table", name, "no such table", allowed=", ".join(SPECS)) + nearest(name, SPECS))
    return aggregate(SPECS[name], frame)


def show(name: str, frame: pd.DataFrame, form: str = "text") -> None:
    """Print a table or figure of the paper."""
    print(FORMATS[form](table(name, frame)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the command line; the exit status is 2 where the runs cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        reports = _reports(given)
    except MutualTaughtError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(as_json(reports))
        return 0
    print("\n\n".join([*_library(reports, given.format), *(_rendered(report, given.format) for report in reports)]))
    return 0


def _reports(given: argparse.Namespace) -> list[Report]:
    names = list(SPECS) if given.names == ["all"] else given.names
    unknown = [name for name in names if name not in SPECS]
    if unknown:
        allowed = ", ".join([*SPECS, "all"])
        raise DataError(describe("table", unknown[0], "no such table", allowed=allowed) + nearest(unknown[0], SPECS))
    source = f"{WANDB}{given.wandb}" if given.wandb else given.runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)  # the tables say it themselves
        frame = load(source, _filters(given.where))
    return [table(name, frame) for name in names]


def _is_drawn(report: Report, form: str) -> bool:
    return form == "html" and not report.spec.name.startswith("table")


def _library(reports: Sequence[Report], form: str) -> list[str]:
    """Return the script that all drawings of a page share."""
    return [f"<script>{library()}</script>"] if any(_is_drawn(report, form) for report in reports) else []


def _rendered(report: Report, form: str) -> str:
    if form == "text" and sys.stdout.isatty():
        return text(report, shutil.get_terminal_size().columns)
    if not _is_drawn(report, form):
        return FORMATS[form](report)
    from analysis.figures import draw

    return f"{draw(report).to_html(full_html=False, include_plotlyjs=False)}\n{FORMATS[form](report)}"


def _filters(where: Sequence[str]) -> dict[str, list[str]]:
    """Return "objective=dpo,ipo" as {"objective": ["dpo", "ipo"]}."""
    found = {}
    for one in where:
        name, equals, values = one.partition("=")
        if not equals or not name:
            raise DataError(describe("--where", one, "not a filter", allowed="KEY=VALUE[,VALUE…]"))
        found[name] = values.split(",")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"{', '.join(SPECS)}, or all")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs lie (default: runs)")
    place.add_argument("--wandb", metavar="ENTITY/PROJECT", help="read the runs from W&B")
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="use some runs only")
    parser.add_argument("--format", choices=list(FORMATS), default="text")
    parser.add_argument("--json", action="store_true", help="for machines, with full precision")
    return parser


if __name__ == "__main__":
    sys.exit(main())
