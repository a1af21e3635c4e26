"""`python -m analysis.report RUN… -o FILE`: one page for a run, for several runs, or for a sweep's folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.report import write
from mt.running.exit_codes import Parser, exit_status_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report and print where it lies; returns the exit status (2 for an error of the user's)."""
    parser = Parser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder, or a folder of run folders")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the page is written")

    def command() -> int:
        given = parser.parse_args(arguments)
        print(write(given.runs, given.output))
        return 0

    return exit_status_of(command)


if __name__ == "__main__":
    sys.exit(main())
