"""Fingerprints of what lies outside the store: by content, remembered by path, size and time of change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mt.errors import DataError, describe, no_file, no_folder
from mt.workflow.keys import digest
from mt.workflow.store import recall, remember, sha256

MEMORY = ".fingerprints.json"
_SHA256 = re.compile("[0-9a-f]{64}")


def file_fingerprint(path: Path, store: Path) -> str:
    """Return the SHA-256 of a file's content; raises DataError where there is no file."""
    if not path.is_file():
        raise DataError(describe("file", path, no_file(path), fix="Check the path"))
    return _fingerprints([path], store)[0]


def folder_fingerprint(folder: Path, store: Path) -> str:
    """Return a hash of the names and contents of a folder's files; raises DataError where there is no folder."""
    if not folder.is_dir():
        raise DataError(describe("folder", folder, no_folder(folder), fix="Check the path"))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = [str(path.relative_to(folder)) for path in files]
    return digest(dict(zip(names, _fingerprints(files, store), strict=True)))


def _fingerprints(files: list[Path], store: Path) -> list[str]:
    """Hash the files that changed since they were last hashed."""
    memory = store / MEMORY
    known = recall(memory)
    fresh: dict[str, list[Any]] = {}
    for path in files:
        stat, name = path.stat(), str(path.resolve())
        state = [stat.st_size, stat.st_mtime_ns]
        match known.get(name):
            case [size, time, str() as found] if [size, time] == state and _SHA256.fullmatch(found):
                fresh[name] = [*state, found]
            case _:
                fresh[name] = [*state, sha256(path)]
    if any(known.get(name) != value for name, value in fresh.items()):
        remember(memory, {**known, **fresh})
    return [fresh[str(path.resolve())][2] for path in files]
