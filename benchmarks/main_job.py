"""The main job's numbers: first and second run, composing and planning, memory, and what bookkeeping costs.

python -m benchmarks.main_job [--folder DIR] [-- OVERRIDE …]      prints a Markdown table; about five quiet minutes
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.measured import measure


def median(command: list[str], repeats: int) -> float:
    """Return the median seconds of a command."""
    return statistics.median(measure(command).seconds for _ in range(repeats))


def outside_of_stages(path: Path, seconds: float) -> tuple[float, float]:
    """Return the shares of a run's wall time that its stages did not take: while it ran, and in all.

    While it ran: keys, checksums, locks, records, display. In all: starting, composing and the report page too.
    """
    record = json.loads(path.read_text())
    begun, ended = (datetime.fromisoformat(record[name]) for name in ("started", "finished"))
    computing = sum(stage["seconds"] for stage in record["stages"])
    return ((ended - begun).total_seconds() - computing) / seconds, 1 - computing / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="keep store and records here (default: a temporary folder)")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of the short commands")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="main-job-"))
    where = [f"store={folder}/store", f"runs={folder}/runs", *args.overrides]
    python = [sys.executable, "-m"]
    print(
        f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n\n| what | measured | goal |\n|---|---|---|"
    )
    first = measure([*python, "mt.run", *where])
    (record,) = (folder / "runs").glob("*/record.json")
    print(f"| first `python -m mt.run`, empty store | {first.seconds:.0f} s | at most 240 s |")
    print(f"| peak memory | {first.peak_mib:,.0f} MiB | under 2,000 MB |")
    running, in_all = outside_of_stages(record, first.seconds)
    print(f"| of that, keys, checksums, locks, records, display | {running:.1%} | under 2% |")
    print(f"| of that, with starting, composing and the report page | {in_all:.1%} | |")
    print(f"| the same command again | {median([*python, 'mt.run', *where], args.repeats):.2f} s | at most 5 s |")
    for name, command in (("--cfg job", ["mt.run", "--cfg", "job"]), ("plan", ["mt.plan", *where])):
        print(f"| `{name}` | {median([*python, *command], args.repeats):.2f} s | at most 1 s |")


if __name__ == "__main__":
    main()
