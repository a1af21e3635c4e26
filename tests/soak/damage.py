"""Damage: one file after another of a finished or interrupted run holds other bytes, and the command is given again.

It ends well with the same results, or says in one line what is damaged; then the advice in that line is followed as it
stands, and it ends well.
"""

from __future__ import annotations

import random
import re
import shlex
import time
from pathlib import Path
from typing import Any

from tests.soak.brief import brief, finish, results
from tests.soak.found import Found
from tests.soak.started import Started

FINISHED = {
    "artifact.json": "store/[!.]*/*/artifact.json",
    "tables": "store/[!.]*/*/table.parquet",
    "metrics": "store/[!.]*/*/metrics.json",
    "weights": "store/[!.]*/*/*.safetensors",
    "model files": "store/[!.]*/*/*config.json",
    "curves": "store/[!.]*/*/curves.jsonl",
    "what was verified": "store/.verified/*.json",
    "what runs need": "store/.needed/*.json",
    "record.json": "runs/*/record.json",
    "files beside the record": "runs/*/*.[clh]*",
}
INTERRUPTED = {
    "journals": "store/.work/*/scratch/*.jsonl",
    "checkpoints": "store/.work/*/scratch/checkpoints/*/*",
    "layouts of checkpoints": "store/.work/*/scratch/checkpoints/layout.json",
    "locks": "store/.locks/*",
}
KINDS = [*FINISHED, *INTERRUPTED]


def damage(folder: Path, seed: int, count: int, first: int = 0) -> Found:
    """Damage `count` files, one kind after another; the first is of the kind of that number."""
    rng, found = random.Random(seed), Found()
    finished = folder / "finished"
    whole = finish(finished, found)
    for number in range(first, first + count):
        kind = KINDS[number % len(KINDS)]
        if kind in FINISHED:
            place, files = finished, sorted(finished.glob(FINISHED[kind]))
        else:
            place = folder / f"interrupted-{number}"
            files = _interrupted(place, INTERRUPTED[kind])
        if not files:
            found.faults.append(f"{kind}: the run left none")
            continue
        found.counts.update(["files", kind])
        file = rng.choice(files)
        _check(place, whole, found, f"{file.relative_to(folder)} ({_spoil(file, rng)})")
    return found


def _check(place: Path, whole: dict[str, Any], found: Found, where: str) -> None:
    """Run again, follow the advice where there is one, and compare.

    A damaged file that a reused run did not read is found when something that needs it is computed anew: then there is
    advice once more, about another artifact.
    """
    run, advised = Started(brief(place)), set[str]()
    while run.end() == 2 and (advice := re.search(r"python -m (mt\.store) (.*? rm \S+), then", run.stderr)):
        found.counts["said"] += 1
        if run.stderr.count("\n") != 1 or advice[2] in advised:
            found.faults.append(f"{where}: more than one line, or the same again: {run.stderr[-300:]!r}")
            return
        advised.add(advice[2])
        Started(shlex.split(advice[2]), module=advice[1]).end()
        run = Started(brief(place))
    if run.end() or "Traceback" in run.stderr:
        found.faults.append(f"{where}: {run.status} {run.stderr[-300:]!r}")
        return
    now = results(place)
    # A removed artifact that nothing needs any more is not computed again.
    same = all(whole["files"].get(key) == files for key, files in now["files"].items())
    if not same or any(now[name] != whole[name] for name in ("metrics", "state")):
        found.faults.append(f"{where}: other results than before")


def _interrupted(place: Path, pattern: str) -> list[Path]:
    """Kill a run once it has written files of a kind, and return those that it leaves."""
    run = Started(brief(place))
    while run.status is None and not any(path.is_file() for path in place.glob(pattern)):
        time.sleep(0.002)
    run.send("SIGKILL")
    run.end()
    return sorted(path for path in place.glob(pattern) if path.is_file())


def _spoil(file: Path, rng: random.Random) -> str:
    """Write other bytes into a file, and return what was done to it."""
    content = file.read_bytes()
    at = rng.randrange(max(1, len(content)))
    ways = {
        "emptied": b"",
        "cut": content[:at],
        "one byte changed": content[:at] + bytes(one ^ 1 for one in content[at : at + 1]) + content[at + 1 :],
        "zeros": bytes(len(content)),
        "noise": rng.randbytes(max(len(content), 64)),
        "brackets": b"[" * 100_000,
    }
    how = rng.choice(list(ways))
    file.write_bytes(ways[how])
    return how
