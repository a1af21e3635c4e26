"""The record of a run: its name, its version, and how it is read. `mt.running.record` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mt.errors import StoreError, describe

SCHEMA = 1
"""The version of record.json that is written and read."""
RECORD = "record.json"


def parse_record(text: str, place: str | Path) -> dict[str, Any]:
    """Return a record from its JSON; raises StoreError where it is damaged or of another version, naming the place."""
    try:
        record = json.loads(text)
    except ValueError as error:
        raise StoreError(f"{place}: damaged record ({error}). Run its command again to write it anew") from None
    if not isinstance(record, dict):
        raise StoreError(f"{place}: damaged record (no object). Run its command again to write it anew")
    if (version := record.get("schema")) != SCHEMA:
        problem, again = "record of another version", record.get("command", "its command")
        raise StoreError(
            describe(f"{place}: schema", version, problem, allowed=str(SCHEMA), mend=f"Run again: {again}")
        )
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """Return a run's record; raises StoreError where there is none, or one that cannot be read."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise StoreError(describe("run", folder, f"{RECORD} is missing", mend="Name a run folder")) from None
    return parse_record(text, folder / RECORD)


def find_records(folder: Path) -> list[Path]:
    """Return the run folders at a path, sorted: itself, runs in it, and runs of the sweeps in it."""
    return [path.parent for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + RECORD))]
