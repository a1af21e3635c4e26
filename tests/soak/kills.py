"""Kills: a run is killed again and again at random moments, by every signal, and ends as if it had not been.

What was published stays as it was published, and no stage is computed twice. A signal that can be caught leaves one
line, status 130 and a record that says so.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from tests.soak.brief import brief, finish, published, results
from tests.soak.found import Found
from tests.soak.started import Started

SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGTERM SIGTERM", "SIGHUP SIGTERM", "SIGINT SIGINT"]
FRESH = 0.2
"""Share of the kills that hit a new interpreter, its imports included."""
RUN_S, IMPORTS_S = 2.5, 5.0
"""Seconds of a CPU within which a run is killed, and that imports take."""


def kill(folder: Path, seed: int, count: int) -> Found:
    """Kill runs until there were at least `count` kills; each is killed until it ends, and compared."""
    rng, found = random.Random(seed), Found()
    whole = finish(folder / "whole", found, f"seed={seed}")
    while found.counts["kills"] < count:
        place = folder / f"run-{found.counts['runs']}"
        there: dict[str, int] = {}
        going_on = True
        while going_on:
            going_on = _kill_once(place, seed, rng, found)
            now = published(place)
            gone = [key for key, moment in there.items() if now.get(key) != moment]
            found.faults += [f"{place.name}: {key} was published twice, or is gone" for key in gone]
            there = now
        if results(place) != whole:
            found.faults.append(f"{place.name}: other results than of a run that nobody killed")
        found.counts["runs"] += 1
    return found


def _kill_once(place: Path, seed: int, rng: random.Random, found: Found) -> bool:
    """Start or continue the run, and kill it; False where it ended before."""
    how, fresh = rng.choice(SIGNALS), rng.random() < FRESH
    after_s = rng.uniform(0.0, RUN_S + IMPORTS_S * fresh)
    run = Started(brief(place, f"seed={seed}"), fresh=fresh)
    if run.compute(after_s):
        for name in how.split():
            run.send(name)
            time.sleep(rng.choice((0, 0.05)))
    status, stderr = run.end(), run.stderr
    if status == 0:
        return False
    found.counts.update(["kills", how])
    where = f"{place.name}, {how} after {after_s:.2f} s of {'a new interpreter' if fresh else 'a fork'}"
    # Before the command's first line and behind its last one the interpreter has the signals; a fork's exits with 1.
    not_ours = status in (1, *range(-64, 0)) and not stderr and (after_s < 0.2 or _state(place) == "finished")
    if how == "SIGKILL" or not_ours:
        return True
    if status != 130 or stderr.count("\n") != 1 or not stderr.startswith("interrupted; nothing is lost"):
        found.faults.append(f"{where}: {status} {stderr[-300:]!r}")
    elif place.name in stderr and (state := _state(place)) != "interrupted":  # it names the record where it has one
        found.faults.append(f"{where}: the record says {state}")
    return True


def _state(place: Path) -> str | None:
    record = next(place.glob("runs/*/record.json"), None)
    return None if record is None else str(json.loads(record.read_text())["state"])
