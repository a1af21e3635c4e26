"""An error that a child process writes to a file and its parent raises again."""

from __future__ import annotations

import json
from pathlib import Path

from mt import errors
from mt.errors import MutualTaughtError


def leave(error: MutualTaughtError, path: Path) -> None:
    """Write an error to the file, unless it holds one: the first error is the cause of the others."""
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"type": type(error).__name__, "text": str(error)}, file)
    except FileExistsError:
        return


def raise_left(path: Path) -> None:
    """Raise the error that was left, if any."""
    if path.is_file():
        said = json.loads(path.read_text("utf-8"))
        raise getattr(errors, said["type"])(said["text"])
