"""The paper's tables and figures from runs, beside the paper's numbers.

python -m analysis.tables table1 [--runs DIR | --wandb ENTITY/PROJECT] [--where objective=dpo] [--format latex]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.aggregate import aggregate
from analysis.cells import Report
from analysis.frame import LeftOut, load
from analysis.records import WANDB
from analysis.render import FORMATS, as_json, page, text
from analysis.spec import TableSpec
from analysis.specs import SPECS
from mt.errors import DataError, describe, nearest
from mt.running.exit_codes import Parser, exit_status_of
from mt.runtime.terminal import asked_width


def table(name: str, frame: pd.DataFrame) -> Report:
    """Return a table or figure of the paper as it comes out of a frame (`analysis.load`)."""
    return aggregate(_spec(name), frame)


def _spec(name: str) -> TableSpec:
    if name not in SPECS:
        allowed = ", ".join([*SPECS, "all"])
        raise DataError(describe("table", name, "no such table", allowed=allowed) + nearest(name, SPECS))
    return SPECS[name]


def show(name: str, frame: pd.DataFrame, form: str = "text") -> None:
    """Print a table or figure of the paper."""
    print(FORMATS[form](table(name, frame)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the command line; the exit status is 2 where the runs cannot be used."""
    return exit_status_of(lambda: _serve(_parser().parse_args(arguments)))


def _serve(args: argparse.Namespace) -> int:
    reports = _reports(args)
    if args.json:
        shown = as_json(reports)
    elif args.format == "html":
        from analysis.figures import draw, is_drawn  # late: matplotlib takes a second

        shown = page([(report, draw(report).svg() if is_drawn(report) else "") for report in reports])
    else:
        wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else asked_width()
        wide = None if args.output else wide
        write = partial(text, width=wide) if args.format == "text" else FORMATS[args.format]
        shown = "\n\n".join(map(write, reports))
    if args.output is None:
        print(shown)
    else:
        args.output.write_text(f"{shown}\n", encoding="utf-8")
    return 0


def _reports(args: argparse.Namespace) -> list[Report]:
    names = list(SPECS) if args.names == ["all"] else args.names
    for name in names:  # before anything is read
        _spec(name)
    source = f"{WANDB}{args.wandb}" if args.wandb else args.runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)  # the tables say it themselves
        frame = load(source, _filters(args.where))
    return [table(name, frame) for name in names]


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
    parser = Parser(
        prog="python -m analysis.tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"{', '.join(SPECS)}, or all")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs lie (default: runs)")
    place.add_argument("--wandb", metavar="ENTITY/PROJECT", help="read the runs from W&B")
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="use some runs only")
    parser.add_argument("--format", choices=[*FORMATS, "html"], default="text")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")
    parser.add_argument("--json", action="store_true", help="for machines, with full precision")
    return parser


if __name__ == "__main__":
    sys.exit(main())
