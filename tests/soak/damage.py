"""Damage: one file of a finished or interrupted run after the other holds other bytes, and the command is given again.

It ends well with the same results, or says in one line what is damaged; then the advice in that line is followed as it
stands, and it ends well.
"""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.kills import PATIENCE_S, Kills, command, finish

KINDS = {
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
SCRATCH = {
    "journals": "store/.work/*/scratch/*.jsonl",
    "checkpoints": "store/.work/*/scratch/checkpoints/*/*",
    "layouts of checkpoints": "store/.work/*/scratch/checkpoints/layout.json",
    "locks": "store/.locks/*",
}


@dataclass
class Damages:
    """What became of the damaged files."""

    files: dict[str, int] = field(default_factory=dict)
    said: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """All damaged files."""
        return sum(self.files.values())


def damage(folder: Path, seed: int, count: int, until: float) -> Damages:
    """Damage `count` files, or until a moment (time.monotonic)."""
    rng, found = random.Random(seed), Damages()
    whole = _finished(folder / "whole", found)
    place = folder / "damaged"
    _finished(place, found)
    kinds = [*KINDS.items(), *SCRATCH.items()]
    while found.count < count and time.monotonic() < until:
        name, pattern = kinds[found.count % len(kinds)]
        found.files[name] = found.files.get(name, 0) + 1
        if name in SCRATCH:
            file = _interrupted(folder / f"interrupted-{found.count}", pattern, rng)
        else:
            file = rng.choice(sorted(place.glob(pattern)))
        if file is not None:
            _check(file, folder, rng, whole, found)
    return found


def _check(file: Path, folder: Path, rng: random.Random, whole: dict[str, Any], found: Damages) -> None:
    place = folder / file.relative_to(folder).parts[0]
    how = _spoil(file, rng)
    where = f"{file.relative_to(folder)} ({how})"
    done = _run(command(place))
    if done.returncode == 2 and (advice := re.search(r"python -m (mt\.store .*? rm \S+), then", done.stderr)):
        found.said += 1
        _run([sys.executable, "-m", *shlex.split(advice[1])])
        if done.stderr.count("\n") != 1:
            found.faults.append(f"{where}: more than one line: {done.stderr[-300:]!r}")
        done = _run(command(place))
    if done.returncode or "Traceback" in done.stderr + done.stdout:
        found.faults.append(f"{where}: {done.returncode} {(done.stderr or done.stdout)[-300:]!r}")
    elif not _same(_finished(place, found), whole):
        found.faults.append(f"{where}: other results than before")


def _same(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Compare results; a removed artifact that nothing needs any more is not computed again."""
    same = all(whole["files"].get(key) == files for key, files in found["files"].items())
    return same and all(found[name] == whole[name] for name in ("metrics", "state"))


def _finished(place: Path, found: Damages) -> dict[str, Any]:
    kills = Kills()
    result = finish(place, 0, kills)
    found.faults += kills.faults
    return result


def _interrupted(place: Path, pattern: str, rng: random.Random) -> Path | None:
    """Kill a run once it has written a file of a kind, and return the file; None where it ended before."""
    child = subprocess.Popen(command(place), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None:
        if found := sorted(path for path in place.glob(pattern) if path.is_file()):
            child.kill()
            child.wait()
            left = [path for path in found if path.exists()]
            return rng.choice(left) if left else None
        time.sleep(0.002)
    return None


def _spoil(file: Path, rng: random.Random) -> str:
    content = file.read_bytes()
    at = rng.randrange(max(1, len(content)))
    ways = {
        "emptied": b"",
        "cut": content[:at],
        "one byte changed": content[:at] + bytes([content[at] ^ 1 if content else 0]) + content[at + 1 :],
        "zeros": bytes(len(content)),
        "noise": rng.randbytes(max(len(content), 64)),
        "brackets": b"[" * 100_000,
    }
    how = rng.choice(list(ways))
    file.write_bytes(ways[how])
    return how


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S)
