"""Kills: a run is killed again and again at random moments, by every signal, and ends as if it had not been.

What was published stays as it was published, and no stage is computed twice. A signal that can be caught leaves one
line, status 130 and a record that says so.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mt.workflow.store import Store
from tests.small import small

SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGTERM SIGTERM", "SIGHUP SIGTERM", "SIGINT SIGINT"]
BRIEF = ["iterations=1", "eval=[held_out]", "eval.held_out.diagnostics=false", "trainer.checkpoint_minutes=0"]
PATIENCE_S = 180


@dataclass
class Kills:
    """What became of the kills."""

    kills: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """All kills."""
        return sum(self.kills.values())


def command(folder: Path, *overrides: str) -> list[str]:
    """Return the command line of a brief run in a folder of its own."""
    ours = [word for word in small(folder, *BRIEF) if not word.startswith("eval.alpaca_eval")]
    return [sys.executable, "-m", "mt.run", *ours, *overrides]


def kill(folder: Path, seed: int, count: int, until: float) -> Kills:
    """Kill runs `count` times, or until a moment (time.monotonic); the last one ends."""
    rng, found = random.Random(seed), Kills()
    whole: dict[int, dict[str, Any]] = {}
    while not found.runs or (found.count < count and time.monotonic() < until):
        number, place = found.runs, folder / f"run-{found.runs}"
        if number % 3 not in whole:
            whole[number % 3] = finish(folder / f"whole-{number % 3}", number % 3, found)
        published: dict[str, int] = {}
        span = 3.0
        while found.count < count and _kill_once(place, number % 3, rng.uniform(0.05, span), rng, found):
            now = _published(place)
            span = min(12.0, span * 1.4) if now == published else 3.0  # imports alone take seconds on a busy machine
            for key, moment in published.items():
                if now.get(key) != moment:
                    found.faults.append(f"run {number}: {key} was published twice, or is gone")
            published = now
        result = finish(place, number % 3, found)
        if result != whole[number % 3]:
            found.faults.append(f"run {number}: other results than of a run that nobody killed")
        if any(moment != _published(place).get(key) for key, moment in published.items()):
            found.faults.append(f"run {number}: computed again what was there")
        found.runs += 1
    return found


def _kill_once(place: Path, seed: int, after_s: float, rng: random.Random, found: Kills) -> bool:
    """Start the run and kill it; False where it had ended before."""
    how = rng.choice(SIGNALS)
    child = subprocess.Popen(command(place, f"seed={seed}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        child.wait(after_s)
    except subprocess.TimeoutExpired:
        for name in how.split():
            child.send_signal(signal.Signals[name])
            time.sleep(rng.choice((0, 0.05)))
    try:
        _, told = child.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        found.faults.append(f"{how} after {after_s:.2f} s: it hung")
        return True
    if child.returncode == 0:
        return False
    found.kills[how] = found.kills.get(how, 0) + 1
    lines = [line for line in told.splitlines() if line.strip()]
    early = after_s < 0.3 and child.returncode < 0  # Python itself was not up yet
    if how != "SIGKILL" and not early:
        state = _state(place)
        if child.returncode != 130 or len(lines) != 1 or not lines[0].startswith("interrupted; nothing is lost"):
            found.faults.append(f"{how} after {after_s:.2f} s: {child.returncode} {told[-300:]!r}")
        elif place.name in lines[0] and state != "interrupted":
            found.faults.append(f"{how} after {after_s:.2f} s: the record says {state}")
    return True


def finish(place: Path, seed: int, found: Kills) -> dict[str, Any]:
    """Run to the end and return what came out: the checksums of all artifacts' files, and the metrics."""
    done = subprocess.run(command(place, f"seed={seed}"), capture_output=True, text=True, timeout=10 * PATIENCE_S)
    if done.returncode:
        found.faults.append(f"{place.name}: {done.returncode} {done.stderr[-300:]!r}")
    (record,) = [json.loads(path.read_text()) for path in (place / "runs").glob("*/record.json")]
    files = {
        one.key: {name: facts["sha256"] for name, facts in one.facts["files"].items() if name != "curves.jsonl"}
        for one in Store(place / "store").artifacts()
    }
    return {"files": files, "metrics": record["metrics"], "state": record["state"]}


def _published(place: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in (place / "store").glob("[!.]*/*/artifact.json")}


def _state(place: Path) -> str | None:
    states = [json.loads(path.read_text())["state"] for path in (place / "runs").glob("*/record.json")]
    return states[0] if states else None
