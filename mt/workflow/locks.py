"""One owner for each artifact in the making: lock files with owner, host and heartbeat.

A lock is a file `<key>.<generation>`. Creating the next generation is atomic, so that of several processes
that find a dead owner exactly one takes over. Whether an owner lives is judged without comparing clocks:
on the same host by its process, elsewhere by a heartbeat that stops changing while we watch.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    pid: int
    host: str
    process_started: float
    job: str | None
    token: str

    @classmethod
    def me(cls) -> Owner:
        """Return this process as an owner."""
        started = psutil.Process().create_time()
        job = os.environ.get("SLURM_JOB_ID")
        return cls(os.getpid(), socket.gethostname(), started, job, uuid.uuid4().hex)

    def is_dead(self) -> bool:
        """Say whether the owner surely ended; only possible on its own host."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.process_started) > 2
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


@contextlib.contextmanager
def hold(
    folder: Path,
    name: str,
    *,
    done: Callable[[], bool],
    waiting: Callable[[Owner], None] = lambda owner: None,
    stale_seconds: float = STALE_SECONDS,
) -> Iterator[bool]:
    """Hold the lock `name`; yields False, without holding it, once `done()` says another process finished."""
    folder.mkdir(parents=True, exist_ok=True)
    mine = _acquire(folder, name, done, waiting, stale_seconds)
    if mine is None:
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, stop), daemon=True, name=f"heartbeat {name}")
    beat.start()
    try:
        yield not done()
    finally:
        stop.set()
        beat.join()
        mine.unlink(missing_ok=True)


def holder(folder: Path, name: str) -> tuple[Owner, float] | None:
    """Return the present owner and the seconds since its last heartbeat, or None."""
    found = _latest(folder, name)
    owner = _read(found[1]) if found else None
    if found is None or owner is None:
        return None
    with contextlib.suppress(FileNotFoundError):
        return owner, max(0.0, time.time() - found[1].stat().st_mtime)
    return None


def _acquire(
    folder: Path, name: str, done: Callable[[], bool], waiting: Callable[[Owner], None], stale_seconds: float
) -> Path | None:
    watched: tuple[Path, int] | None = None
    since = time.monotonic()
    told = False
    while not done():
        found = _latest(folder, name)
        if found is None:
            if mine := _create(folder, name, 1):
                return mine
            continue
        generation, path = found
        owner, beat = _read(path), _mtime(path)
        if (path, beat) != watched:
            watched, since = (path, beat), time.monotonic()
        silent = time.monotonic() - since > stale_seconds
        if silent or (owner is not None and owner.is_dead()):
            if mine := _create(folder, name, generation + 1):
                path.unlink(missing_ok=True)
                return mine
            continue
        if owner is not None and not told:
            waiting(owner)
            told = True
        time.sleep(_POLL_SECONDS)
    return None


def _create(folder: Path, name: str, generation: int) -> Path | None:
    """Create the lock of a generation with its content in one step; None where another was first."""
    owner = Owner.me()
    draft = folder / f".{name}.{owner.token}"
    path = folder / f"{name}.{generation}"
    draft.write_text(json.dumps(owner.__dict__))
    try:
        os.link(draft, path)
    except FileExistsError:
        return None
    finally:
        draft.unlink()
    latest = _latest(folder, name)
    if latest is None or latest[1] != path:
        path.unlink(missing_ok=True)
        return None
    return path


def _latest(folder: Path, name: str) -> tuple[int, Path] | None:
    found = [(int(path.suffix[1:]), path) for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit()]
    return max(found, default=None)


def _read(path: Path) -> Owner | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        return Owner(**values)
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return -1


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(path)
