"""A local hub cache as the hub's client lays it out, made by hand."""

from __future__ import annotations

from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def add_snapshot(cache: Path, kind: str, name: str, files: dict[str, bytes], commit: str = COMMIT) -> Path:
    """Add files to a pinned revision of the cache; returns the snapshot's folder."""
    root = cache / f"{kind}s--{name.replace('/', '--')}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    folder = root / "snapshots" / commit
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
