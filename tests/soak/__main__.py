"""`make soak`: break the program for twenty minutes, by a seed, and write down what became of it.

python -m tests.soak --output benchmarks/faults.md
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.soak.damage import Damages, damage
from tests.soak.inputs import Inputs, give
from tests.soak.judge import Judged, judge
from tests.soak.kills import Kills, kill
from tests.soak.races import Races, race

TEXT = """\
# Faults

`make soak` breaks the program on purpose, for twenty minutes at most. This is what became of it with seed {seed} on
{machine}, {date}, commit {commit}. The default suite runs a sample of each part (tests/soak/test_soak.py).

**{faults} faults.**

- **Kills**: {kills} of {runs} runs at random moments ({signals}). Each run ends with the artifacts and numbers of one
  that nobody killed, no stage is published twice, and a signal that can be caught leaves one line, status 130 and a
  record that says `interrupted`: {killed} faults.
- **Races**: {races}, of 8 commands at once in one store (each stage is computed once, all measure the same) and of 8 of
  one name (one runs, the others are refused in one line): {raced} faults.
- **Damage**: {files} files ({kinds}), one at a time. The same command then gives the same results, or one line whose
  advice works as it stands ({said} times): {damaged} faults.
- **Judge**: {requests} requests to an endpoint of which every third reply is a fault, by 3 processes of which one is
  killed again and again ({judge_kills} times). Under a limit of ${limit:.2f} they paid ${paid:.2f}; after it was raised
  every comparison was judged, and no judgment was lost: {judged} faults.
- **Bad inputs**: {inputs} words and values of the command line, data files and model folders. {refused} were refused in
  one line, the others taken, none with a traceback or after more than 30 seconds: {given} faults.
"""


def main(arguments: list[str]) -> int:
    """Run every part, print the table, and return 1 where there was a fault."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=18.0, help="after which no further kill or damage begins")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=42)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--races", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="mt-soak-") as folder, ProcessPoolExecutor(3, get_context("spawn")) as pool:
        place = Path(folder)
        parts = {name: place / name for name in ("kills", "damage", "races", "judge")}
        for part in parts.values():
            part.mkdir()
        killed = pool.submit(kill, parts["kills"], given.seed, given.kills, until)
        taken = pool.submit(give, place, given.seed, given.inputs, until)
        raced = pool.submit(race, parts["races"], given.seed, given.races)
        judged = pool.submit(judge, parts["judge"], given.seed, given.requests)
        damaged = pool.submit(damage, parts["damage"], given.seed, given.files, until)
        found = killed.result(), raced.result(), damaged.result(), judged.result(), taken.result()
    text = _table(given.seed, *found)
    faults = [fault for part in found for fault in part.faults]
    print(text, *faults, sep="\n")
    if given.output:
        given.output.write_text(text, "utf-8")
    return 1 if faults else 0


def _table(seed: int, kills: Kills, races: Races, damages: Damages, judged: Judged, inputs: Inputs) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return TEXT.format(
        faults=sum(len(part.faults) for part in (kills, races, damages, judged, inputs)),
        seed=seed,
        machine=f"{os.cpu_count()} CPU cores ({platform.system()})",
        date=time.strftime("%Y-%m-%d"),
        commit=commit,
        signals=", ".join(f"{name} {count}" for name, count in sorted(kills.kills.items())),
        kills=kills.count,
        runs=kills.runs,
        killed=len(kills.faults),
        races=races.races,
        raced=len(races.faults),
        kinds=", ".join(damages.files),
        files=damages.count,
        said=damages.said,
        damaged=len(damages.faults),
        requests=f"{judged.requests:,}",
        judge_kills=judged.kills,
        limit=judged.limit,
        paid=judged.paid,
        judged=len(judged.faults),
        inputs=f"{inputs.given:,}",
        refused=f"{inputs.refused:,}",
        given=len(inputs.faults),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
