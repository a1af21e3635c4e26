"""Races: eight commands at once in one store compute each stage once; of eight of one name, one runs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.soak.brief import brief
from tests.soak.found import Found
from tests.soak.started import Started

WIDTH = 8


def race(folder: Path, seed: int) -> Found:
    """Let commands race, with names of their own and with one name."""
    found = Found(Counter(races=2))
    _own_names(folder, seed, found)
    _one_name(folder, seed, found)
    return found


def _ended(place: Path, names: list[str], seed: int) -> list[tuple[int, str]]:
    """Start runs at once, every fourth one in a new interpreter, and return what became of them."""
    runs = [Started(brief(place, f"seed={seed}", f"name={name}"), fresh=at % 4 == 0) for at, name in enumerate(names)]
    return [(run.end(), run.stderr) for run in runs]


def _own_names(place: Path, seed: int, found: Found) -> None:
    ended = _ended(place, [f"racer-{number}" for number in range(WIDTH)], seed)
    found.faults += [f"a racer failed: {stderr[-300:]!r}" for status, stderr in ended if status]
    records = [json.loads(path.read_text()) for path in place.glob("runs/racer-*/record.json")]
    computed = Counter(one["key"] for record in records for one in record["stages"] if one["state"] == "computed")
    if len(records) != WIDTH or max(computed.values()) > 1 or len(computed) != len(records[0]["stages"]):
        found.faults.append(f"{len(records)} records, {len(computed)} stages, at most {max(computed.values())} times")
    if len({json.dumps(record["metrics"]) for record in records}) != 1:
        found.faults.append("racers measured different numbers")


def _one_name(place: Path, seed: int, found: Found) -> None:
    ended = _ended(place, ["same"] * WIDTH, seed + 1000)
    statuses = Counter(status for status, _ in ended)
    said = [stderr for _, stderr in ended if "name=same: another command is at work on it" in stderr]
    refused = [stderr for stderr in said if stderr.count("\n") == 1]
    # One that starts after the first has ended finds everything there, and ends well, too.
    if not statuses[0] or statuses[0] + len(refused) != WIDTH:
        found.faults.append(f"of one name {dict(statuses)}, {len(refused)} refused in one line: {ended}")
