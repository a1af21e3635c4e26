"""The one command at a time that submits, resumes or cancels a sweep, and who it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from mt.errors import LaunchError, describe

_FILE = ".driver"
_LOOKED_AT_S = 5.0


class Driver(NamedTuple):
    """A process that is at work on a sweep."""

    pid: int
    host: str


@contextlib.contextmanager
def driving(folder: Path) -> Iterator[None]:
    """Be the one command that submits, resumes or cancels a sweep; raises LaunchError while another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("a+") as file:
        try:
            _lock(file, folder)
        except OSError as error:
            problem = f"its file system takes no locks ({error.strerror})"
            raise LaunchError(describe("runs", folder.parent, problem, mend="Set runs=DIR on one that does")) from None
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        yield


def _lock(file: IO[str], folder: Path) -> None:
    """Take the lock; commands that only look whether somebody has it, have it for a moment."""
    deadline = time.monotonic() + _LOOKED_AT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            other = driver(folder)
            if other or time.monotonic() > deadline:
                who = f" (process {other.pid} on {other.host})" if other else ""
                problem = f"another command is at work on it{who}"
                raise LaunchError(describe("sweep", folder.name, problem, mend="Wait until it ends")) from None
        time.sleep(0.02)


def driver(folder: Path) -> Driver | None:
    """Return the other process that submits, resumes or cancels the sweep just now, or None."""
    file = folder / _FILE
    if not file.exists():
        return None
    with file.open() as lock, contextlib.suppress(OSError):  # where nothing can be locked, nobody drives
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, host = lock.read().partition(" ")
            found = Driver(int(pid or 0), host)
            return None if found == Driver(os.getpid(), socket.gethostname()) else found
    return None
