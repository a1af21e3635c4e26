"""`python -m analysis.report RUN…`: one page for a run, for several runs, or for a sweep's folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.report import REPORT, write
from mt.errors import MutualTaughtError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and print where it lies; returns the exit status (2 for an error of the user's)."""
    options = _parser().parse_args(arguments)
    output = options.output or (options.runs[0] if len(options.runs) == 1 else Path()) / REPORT
    try:
        print(write(options.runs, output))
    except MutualTaughtError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder, or a folder of run folders")
    parser.add_argument("-o", "--output", type=Path, help=f"the page (default: {REPORT} in the folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
