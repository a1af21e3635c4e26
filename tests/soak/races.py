"""Races: eight commands at once in one store compute each stage once; of eight of one name, one runs."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.kills import PATIENCE_S, command

WIDTH = 8


@dataclass
class Races:
    """What became of the races."""

    races: int = 0
    faults: list[str] = field(default_factory=list)


def race(folder: Path, seed: int, rounds: int) -> Races:
    """Let commands race, with names of their own and with one name."""
    found = Races()
    for number in range(rounds):
        place = folder / f"race-{number}"
        _own_names(place, seed + number, found)
        _one_name(place, seed + number, found)
        found.races += 2
    return found


def _start(place: Path, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(place, *overrides), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _own_names(place: Path, seed: int, found: Races) -> None:
    children = [_start(place, f"seed={seed}", f"name=racer-{number}") for number in range(WIDTH)]
    told = [child.communicate(timeout=10 * PATIENCE_S)[1] for child in children]
    if bad := [text[-200:] for child, text in zip(children, told, strict=True) if child.returncode]:
        found.faults.append(f"racers failed: {bad}")
    records = [json.loads(path.read_text()) for path in place.glob("runs/racer-*/record.json")]
    computed = Counter(one["key"] for record in records for one in record["stages"] if one["state"] == "computed")
    if len(records) != WIDTH or max(computed.values()) > 1 or len(computed) != len(records[0]["stages"]):
        found.faults.append(f"{len(records)} records, {len(computed)} stages, at most {max(computed.values())} times")
    if len({json.dumps(record["metrics"]) for record in records}) != 1:
        found.faults.append("racers measured different numbers")


def _one_name(place: Path, seed: int, found: Races) -> None:
    children = [_start(place, f"seed={seed + 1000}", "name=same") for _ in range(WIDTH)]
    told = [child.communicate(timeout=10 * PATIENCE_S)[1] for child in children]
    ended = Counter(child.returncode for child in children)
    refused = [text for text in told if "name=same: another command is at work on it" in text and text.count("\n") == 1]
    # One that starts after the first has ended finds everything there, and ends well, too.
    if not ended[0] or ended[0] + len(refused) != WIDTH:
        found.faults.append(f"of one name {dict(ended)}, {len(refused)} refused in one line: {told}")
