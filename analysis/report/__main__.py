"""`python -m analysis.report RUN… -o FILE`: one page for a run, for several runs, or for a sweep's folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.report import write
from mt.running.exit_codes import Parser, exit_status_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and print where it lies; returns the exit status (2 for an error of the user's)."""
    return exit_status_of(lambda: _serve(_parser().parse_args(arguments)))


def _serve(args: argparse.Namespace) -> int:
    print(write(args.runs, args.output))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder, or a folder of run folders")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the page is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
