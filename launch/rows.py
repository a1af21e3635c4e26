"""Rows that commands and jobs write down about a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from mt.errors import LaunchError
from mt.runtime.jsonl import JsonLines

T = TypeVar("T")


def rows(file: Path, kind: type[T]) -> JsonLines[T]:
    """Return a file of rows, each on the disk when its append returns; raises LaunchError for foreign ones."""
    return JsonLines(file, kind, refuse="foreign", error=LaunchError, sync=True)
