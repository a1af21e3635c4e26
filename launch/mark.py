"""A mark in the store's root, by which a job knows that its node sees the store that the sweep was planned for."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

from mt.errors import LaunchError, describe
from mt.runtime.lock import create_once

FILE = ".mark"


def mark_store(root: Path) -> str:
    """Return the store's mark, made at the first call."""
    create_once(root / FILE, uuid.uuid4().hex)
    return (root / FILE).read_text()


def check_store(root: Path, mark: str) -> None:
    """Raise LaunchError unless this node sees the store that the sweep was submitted with."""
    file = root / FILE
    seen = file.read_text() if file.is_file() else None
    if seen != mark:
        problem = f"{socket.gethostname()} does not see the store of the machine that submitted"
        mend = "Put the store on a file system that all nodes share: store=DIR"
        raise LaunchError(describe("store", root, problem, mend=mend))
