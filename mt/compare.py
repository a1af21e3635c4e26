"""Compare finished runs: paired differences, by iteration, for the policy and for the reward model.

python -m mt.compare RUN RUN…       against the first; runs that differ by seed alone count as one variant
python -m mt.compare SWEEP          against the variant whose reward model is frozen, or the first
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mt.running.comparison import compare
from mt.running.comparison_table import print_comparison
from mt.running.exit_codes import Parser, exit_status_of
from mt.runtime.terminal import terminal
from mt.workflow.run_record import folder_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = Parser("python -m mt.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+", help="a run or a sweep: its folder, or its name in the folder of runs")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")
    return exit_status_of(lambda: _compare(parser.parse_args(arguments)))


def _compare(args: argparse.Namespace) -> int:
    found = compare([folder_of(name, args.runs) for name in args.run], named=len(args.run) > 1)
    if args.json:
        print(json.dumps(found.data(), indent=1))
    else:
        print_comparison(terminal(), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
