"""The store's id, a file in its root: a job compares it to know that its node sees the sweep's store."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

from mt.errors import LaunchError, describe
from mt.runtime.lock import create_once

FILE = ".mark"


def store_id(root: Path) -> str:
    """Return the store's id, which the first call makes."""
    create_once(root / FILE, uuid.uuid4().hex)
    return (root / FILE).read_text()


def check_store(root: Path, expected: str) -> None:
    """Raise LaunchError unless this node sees the store that the sweep was submitted with."""
    file = root / FILE
    seen = file.read_text() if file.is_file() else None
    if seen != expected:
        problem = f"{socket.gethostname()} does not see the store of the machine that submitted"
        fix = "Put the store on a file system that all nodes share: store=DIR"
        raise LaunchError(describe("store", root, problem, fix=fix))
