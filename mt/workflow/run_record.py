"""The record of a run: its name, its version, and how it is read. `mt.running.record` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from mt.errors import DataError, StoreError, describe, nearest
from mt.runtime.jsonl import problem
from mt.runtime.text import parse_json

SCHEMA = 1
"""The version of record.json that is written and read."""
RECORD = "record.json"
Question = Literal["stopped", "policy", "reward", "update", "failed"]
"""What an answer is about: where the run stopped, its policy, its reward model, its update, or why there is none."""


@dataclass(frozen=True)
class _Stage:
    key: str
    state: str = ""


@dataclass(frozen=True)
class _Measured:
    benchmark: str
    metric: str
    value: float | None


@dataclass(frozen=True)
class _Record:
    """What the readers of a record rely on."""

    name: str = ""
    state: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    stages: list[_Stage] = field(default_factory=list)
    metrics: list[_Measured] = field(default_factory=list)
    answers: dict[Question, str] | list[str] | None = None


_RECORD = TypeAdapter(_Record)


def parse_record(text: str, place: str | Path) -> dict[str, Any]:
    """Return a record from its JSON; raises StoreError where it is damaged or of another version, naming the place."""
    try:
        record = parse_json(text)
        if not isinstance(record, dict):
            raise ValueError("no object")
        if record.get("schema") == SCHEMA:
            _RECORD.validate_python(record)
    except ValueError as error:
        why = problem(error) if isinstance(error, ValidationError) else error
        raise StoreError(f"{place}: damaged record ({why}). Run its command again to write it anew") from None
    if (version := record.get("schema")) != SCHEMA:
        other, again = "record of another version", record.get("command", "its command")
        raise StoreError(describe(f"{place}: schema", version, other, allowed=str(SCHEMA), fix=f"Run again: {again}"))
    return {"config": {}, "stages": [], "metrics": [], **record, "answers": _by_question(record.get("answers"))}


def _by_question(answers: dict[Question, str] | list[str] | None) -> dict[Question, str]:
    """Return a record's answers; earlier versions wrote a list: where the run stopped, if it did, and the other three.

    The only sentence of a list said where it stopped; one that failed is read as such, too.
    """
    if not isinstance(answers, list):
        return answers or {}
    questions: tuple[Question, ...] = ("stopped", "policy", "reward", "update")
    return dict(zip(questions if len(answers) != 3 else questions[1:], answers, strict=False))


def read_record(folder: Path) -> dict[str, Any]:
    """Return a run's record; raises StoreError where there is none, or one that cannot be read."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise StoreError(describe("run", folder, f"{RECORD} is missing", fix="Name a run folder")) from None
    return parse_record(text, folder / RECORD)


def time_taken(record: Mapping[str, Any]) -> float | None:
    """Return how many seconds a run took, its interrupted attempts included; None where the record does not tell."""
    if (seconds := record.get("seconds")) is not None:
        return float(seconds)
    started, finished = record.get("started"), record.get("finished")  # records of before this was written
    return seconds_between(started, finished) if started and finished else None


def seconds_between(first: str, last: str) -> float:
    """Return the seconds from one time to another, in ISO format."""
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def folder_of(name: str, runs: Path) -> Path:
    """Return the folder of the run or sweep that a path, or a name in the folder of runs, stands for.

    Raises DataError where no run lies there.
    """
    for folder in (Path(name), runs / name):
        if find_records(folder):
            return folder
    found = find_records(runs)
    known = sorted({str(path.relative_to(runs)) for path in found} | {path.parent.name for path in found})
    problem = f"no run lies there, nor in {runs}"
    fix = "Name a run's or a sweep's folder, or set --runs DIR"
    raise DataError(describe("run", name, problem, fix=fix) + nearest(name, known))


def find_records(folder: Path) -> list[Path]:
    """Return the run folders at a path, sorted: itself, runs in it, and runs of the sweeps in it."""
    return [path.parent for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + RECORD))]
