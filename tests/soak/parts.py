"""The parts of the soak, each done in steps; a step runs in a process of its own.

python -m tests.soak.parts NAME SEED COUNT BEFORE        prints what the step found, as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.soak.damage import damage
from tests.soak.found import Found
from tests.soak.inputs import give
from tests.soak.judge import judge
from tests.soak.kills import kill
from tests.soak.races import race

QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Part:
    """A part: what a step does, what is counted, how much of it all steps and one step are to reach."""

    step: Callable[[Path, int, int, int], Found]
    """(folder, seed, how many, how many there were before) → what was found."""
    counted: str
    wanted: int
    at_once: int


PARTS = {
    "kills": Part(lambda folder, seed, count, before: kill(folder, seed, count), "kills", 200, 20),
    "races": Part(lambda folder, seed, count, before: race(folder, seed), "races", 2, 2),
    "damage": Part(damage, "files", 42, 7),
    "judge": Part(lambda folder, seed, count, before: judge(folder, seed, count), "requests", 2000, 700),
    "inputs": Part(lambda folder, seed, count, before: give(folder, seed, count), "inputs", 2000, 100),
}


def unfinished(found: Mapping[str, Found]) -> list[str]:
    """Return the parts that have not reached their number."""
    return [name for name, part in PARTS.items() if found[name].counts[part.counted] < part.wanted]


def step(name: str, seed: int, before: int) -> Found:
    """Do the step of a part that comes after so many; raises RuntimeError where the step itself ends badly."""
    part = PARTS[name]
    count = min(part.at_once, part.wanted - before)
    words = [name, str(1_000_000 * seed + before), str(count), str(before)]
    command = [sys.executable, "-m", "tests.soak.parts", *words]
    done = subprocess.run(command, env={**os.environ, **QUIET}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode} {done.stderr[-500:]!r}")
    return Found.of(json.loads(done.stdout.splitlines()[-1]))


def main(name: str, seed: str, count: str, before: str) -> None:
    """Do a step in this process."""
    with tempfile.TemporaryDirectory(prefix=f"mt-soak-{name}-") as folder:
        found = PARTS[name].step(Path(folder), int(seed), int(count), int(before))
    print(json.dumps(vars(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
