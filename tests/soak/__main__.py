"""`make soak`: break the program on purpose, by a seed, and write down what became of it.

python -m tests.soak                        all parts, until each has its number, for at most 20 minutes
python -m tests.soak kills damage           some parts

What was found is kept beside the page after every step, so that an unfinished soak of a seed goes on where it was. A
finished one, or one of another seed, begins anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tests.soak.found import Found
from tests.soak.page import page
from tests.soak.parts import PARTS, step, unfinished


class Soak:
    """What all steps found so far, kept in a file."""

    def __init__(self, output: Path, seed: int) -> None:
        """Take up what is kept beside `output`, the page, where it is of this seed and unfinished."""
        self._page, self._kept, self._lock = output, output.with_suffix(".json"), Lock()
        self.seed, self.commits, self.found = seed, list[str](), {name: Found() for name in PARTS}
        kept = json.loads(self._kept.read_text("utf-8")) if self._kept.is_file() else {}
        if kept.get("seed") == seed and kept["unfinished"]:
            self.commits = kept["commits"]
            self.found = {name: Found.of(kept["found"][name]) for name in PARTS}

    def run(self, name: str, until: float) -> None:
        """Do the steps of a part until it has its number, or until a moment (time.monotonic)."""
        part, found = PARTS[name], self.found[name]
        while (before := found.counts[part.counted]) < part.wanted and time.monotonic() < until:
            new = step(name, self.seed, before)
            with self._lock:
                found.add(new)
                self._keep()
            print(f"{name}: {found.counts[part.counted]:,} of {part.wanted:,}, {len(found.faults)} faults", flush=True)

    def _keep(self) -> None:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
        self.commits = list(dict.fromkeys([*self.commits, commit.stdout.strip()]))
        found = {name: vars(one) for name, one in self.found.items()}
        kept = {"seed": self.seed, "commits": self.commits, "unfinished": unfinished(self.found), "found": found}
        self._kept.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        self._page.write_text(page(self.seed, self.commits, self.found), "utf-8")


def main(arguments: list[str]) -> int:
    """Run the parts, write the page, and return 1 where there was a fault."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=20.0, help="after which no further step begins")
    parser.add_argument("--jobs", type=int, default=2, help="parts at once")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/faults.md"), help="the page")
    args = parser.parse_args(arguments)
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: no such part. Allowed: {', '.join(PARTS)}")
    soak, until = Soak(args.output, args.seed), time.monotonic() + 60 * args.minutes
    with ThreadPoolExecutor(args.jobs) as threads:
        for end in [threads.submit(soak.run, name, until) for name in args.parts or PARTS]:
            end.result()
    print(page(soak.seed, soak.commits, soak.found))
    return 1 if any(found.faults for found in soak.found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
