"""The log folder of worker processes, which outlives them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_folders: list[Path] = []


@contextlib.contextmanager
def logging_into(folder: Path) -> Iterator[None]:
    """Keep the logs of worker processes in a folder while the block lasts; a process runs one stage at a time."""
    _folders.append(folder)
    try:
        yield
    finally:
        _folders.pop()


def logs_folder() -> Path | None:
    """Return the folder for the logs of worker processes, or None where nobody keeps them."""
    return _folders[-1] if _folders else None
