"""How long the commands take that compute nothing, each in a process of its own: medians of wall and processor seconds.

python -m benchmarks.planning [REPEATS [STORE]]     prints the table of benchmarks/planning.md; on a machine that others
use, too, only the processor seconds mean something. With a STORE that holds the default run, the run that reuses it is
measured as well.
"""

from __future__ import annotations

import sys
import tempfile
from statistics import median

from benchmarks.measured import measure

_SWEEP = ["-m", "objective=dpo,ipo,simpo,cdpo", "rm_data=both,pm,contrast,frozen"]
COMMANDS = (
    ("mt.run --help", ["mt.run", "--help"], 0.6),
    ("mt.run --cfg job", ["mt.run", "--cfg", "job"], 0.6),
    ("mt.plan", ["mt.plan"], 0.6),
    ("mt.plan of 96 runs", ["mt.plan", *_SWEEP, "seed=0,1,2,3,4,5"], 3.0),
    ("mt.plan of 480 runs", ["mt.plan", *_SWEEP, f"seed={','.join(map(str, range(30)))}"], 10.0),
)


def main() -> None:
    """Print the table."""
    repeats, store = int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:]
    print("| command | wall, s | processor, s | target, s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as runs:
        reused = [("mt.run, all of it reused", ["mt.run", f"store={path}", f"runs={runs}"], 2.0) for path in store]
        for name, arguments, target in [*COMMANDS, *reused]:
            found = [measure([sys.executable, "-m", *arguments]) for _ in range(repeats)]
            wall, used = median(one.seconds for one in found), median(one.cpu_seconds for one in found)
            print(f"| `{name}` | {wall:.2f} | {used:.2f} | {target} |")


if __name__ == "__main__":
    main()
