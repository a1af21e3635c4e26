"""Fingerprints of what lies outside the store: by content, remembered by path, size and time of change."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mt.errors import DataError, describe, no_file, no_folder
from mt.workflow.keys import digest
from mt.workflow.store import sha256, write_json

MEMORY = ".fingerprints.json"


def file_fingerprint(path: Path, store: Path) -> str:
    """Return the SHA-256 of a file's content; raises DataError where there is no file."""
    if not path.is_file():
        raise DataError(describe("file", path, no_file(path), mend="Check the path"))
    return _fingerprints([path], store)[0]


def folder_fingerprint(folder: Path, store: Path) -> str:
    """Return a hash of the names and contents of a folder's files; raises DataError where there is no folder."""
    if not folder.is_dir():
        raise DataError(describe("folder", folder, no_folder(folder), mend="Check the path"))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = [str(path.relative_to(folder)) for path in files]
    return digest(dict(zip(names, _fingerprints(files, store), strict=True)))


def _fingerprints(files: list[Path], store: Path) -> list[str]:
    """Hash the files that changed since they were last hashed."""
    memory = store / MEMORY
    known: dict[str, list[object]] = {}
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        known = json.loads(memory.read_text())
    fresh = {}
    for path in files:
        stat, name = path.stat(), str(path.resolve())
        mark = [stat.st_size, stat.st_mtime_ns]
        seen = known.get(name)
        fresh[name] = seen if seen is not None and seen[:2] == mark else [*mark, sha256(path)]
    if any(known.get(name) != value for name, value in fresh.items()):
        write_json(memory, {**known, **fresh})
    return [str(fresh[str(path.resolve())][2]) for path in files]
