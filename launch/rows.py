"""Rows that commands and jobs write down about a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from mt.errors import LaunchError
from mt.runtime.jsonl import JsonLines, Refuse

T = TypeVar("T")


def rows(file: Path, kind: type[T], refuse: Refuse = "nothing") -> JsonLines[T]:
    """Return a file of rows, each on the disk when its append returns; raises LaunchError for those it refuses."""
    return JsonLines(file, kind, refuse=refuse, error=LaunchError, sync=True)
