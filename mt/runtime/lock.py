"""One lock for everything that one process at a time may do, on local disks and on network file systems."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
from pydantic import PositiveInt, TypeAdapter, ValidationError

from mt.errors import MutualTaughtError

HEARTBEAT_S = 5.0
STALE_S = 120.0
"""Silence after which an owner on another machine is dead.

Network file systems show a file as it was up to 60 s ago (NFS: acregmax), so that a shorter time would take a lock
from an owner who is alive.
"""
_POLL_S = 0.2


class Held(MutualTaughtError, RuntimeError):
    """Another process holds a lock that this one did not want to wait for."""

    def __init__(self, path: Path, owner: Owner) -> None:
        super().__init__(f"{path}: held by {owner}")
        self.owner = owner


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    pid: PositiveInt
    host: str
    namespace: int
    """The PID namespace: containers of one host number their processes independently. 0 where there are none."""
    started: float
    """Start of the process in seconds since boot, which changes of the system's clock do not move."""
    job: str | None
    """The SLURM job it runs in."""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def me(cls) -> Owner:
        """Return this process as an owner."""
        pid = os.getpid()
        return cls(pid, socket.gethostname(), _namespace(), _started(pid), os.environ.get("SLURM_JOB_ID"))

    @property
    def is_here(self) -> bool:
        """Whether the owner's process can be looked up by this one."""
        return (self.host, self.namespace) == (socket.gethostname(), _namespace())

    @property
    def is_dead(self) -> bool:
        """Whether the owner has certainly ended; a process elsewhere is only known to be silent."""
        try:
            return self.is_here and abs(_started(self.pid) - self.started) > 2
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


_OWNER = TypeAdapter(Owner)


class _Seen(NamedTuple):
    """A lock file as it was read: `owner` is None where the content is not a lock of ours."""

    owner: Owner | None
    beat: int
    """Time of the last heartbeat (ns), compared with itself only: clocks of two machines differ."""


class Lock:
    """A lock file with one owner at a time, named `<path>.<generation>` while it is held.

    - Taking it is atomic: a file with its whole content is linked to a name that must be free. Whoever took it looks
      whether another generation has a living owner, and gives way to that one; so two never hold it.
    - The file names its owner. It is removed on release, and nothing else is left behind.
    - A dead owner's lock is taken over: on the same machine as soon as its process is gone, elsewhere after a
      heartbeat has not changed for `stale_s` while this process watched. Heartbeats are read through a newly opened
      file, which makes network file systems ask their server. An owner elsewhere that was silent for so long because
      its machine stood still does not learn that it lost the lock: what is done under it has to bear that.
    - A file whose content is not a lock (damaged, another version's) has no owner.

    The file system must have hard links; `hold` raises OSError otherwise.
    """

    def __init__(self, path: Path, *, stale_s: float = STALE_S) -> None:
        self.path = path
        self.stale_s = stale_s

    def owner(self) -> Owner | None:
        """Return who holds the lock, unless that process has certainly ended."""
        owners = [seen.owner for _, seen in sorted(self._look().items())]
        return next((owner for owner in reversed(owners) if owner is not None and not owner.is_dead), None)

    @contextlib.contextmanager
    def hold(
        self,
        *,
        wait: bool = True,
        done: Callable[[], bool] = lambda: False,
        waiting: Callable[[Owner], None] = lambda owner: None,
    ) -> Iterator[bool]:
        """Hold the lock while the block lasts; yields False, without holding it, once `done()` is true.

        `waiting` is called once with the owner that has to be waited for. With `wait=False` raises `Held` as soon as
        another owner shows that it lives: at once on this machine, within a few heartbeats elsewhere.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mine = self._acquire(wait, done, waiting)
        if mine is None:
            yield False
            return
        file, token = mine
        released = threading.Event()
        beating = threading.Thread(target=_beat, args=(file, released), daemon=True, name=f"heartbeat {self.path.name}")
        beating.start()
        try:
            yield not done()
        finally:
            released.set()
            beating.join()
            now = _read(file)
            if now is not None and now.owner is not None and now.owner.token == token:  # not taken over meanwhile
                file.unlink(missing_ok=True)

    def _acquire(
        self, wait: bool, done: Callable[[], bool], waiting: Callable[[Owner], None]
    ) -> tuple[Path, str] | None:
        watched: dict[str, tuple[int, float]] = {}  # by token: the last heartbeat and when it was first seen
        announced = False
        while not done():
            living, dead = list[Owner](), set[str]()
            for seen in self._look().values():
                if seen.owner is None:
                    continue
                token, now = seen.owner.token, time.monotonic()
                beat, since = watched.setdefault(token, (seen.beat, now))
                if seen.owner.is_dead or (beat == seen.beat and now - since > self.stale_s):
                    dead.add(token)
                    continue
                living.append(seen.owner)
                if beat != seen.beat:
                    watched[token] = seen.beat, now
                if not wait and (seen.owner.is_here or beat != seen.beat):
                    raise Held(self.path, seen.owner)
            if not living and (mine := self._take(dead)):
                return mine
            if living and not announced:
                waiting(living[-1])
                announced = True
            time.sleep(_POLL_S * random.uniform(0.5, 1.0) if living else random.uniform(0.0, 0.01))
        return None

    def _take(self, dead: set[str]) -> tuple[Path, str] | None:
        """Create the next generation and remove those of the dead; None where another process was faster."""
        me = Owner.me()
        file = self.path.with_name(f"{self.path.name}.{max(self._look(), default=0) + 1}")
        if not create_once(file, json.dumps(asdict(me))):
            return None
        others = {number: seen for number, seen in self._look().items() if self._file(number) != file}
        # Who takes a lock looks only after its own file is there. Of two, the later one therefore sees the earlier.
        alive = [seen for seen in others.values() if seen.owner is not None and seen.owner.token not in dead]
        for number in [] if alive else others:
            with contextlib.suppress(IsADirectoryError, PermissionError):  # macOS says the latter of a folder
                self._file(number).unlink(missing_ok=True)
        if alive:
            file.unlink(missing_ok=True)
            return None
        return file, me.token

    def _look(self) -> dict[int, _Seen]:
        """Return the lock's files by generation."""
        name = re.compile(rf"{re.escape(self.path.name)}\.([0-9]+)")
        try:
            found = [match for file in self.path.parent.iterdir() if (match := name.fullmatch(file.name))]
        except FileNotFoundError:
            return {}
        read = {int(match[1]): _read(self.path.with_name(match[0])) for match in found}
        return {number: seen for number, seen in read.items() if seen is not None}

    def _file(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def create_once(file: Path, text: str) -> bool:
    """Create a file with its whole content in one step; False where it exists already, which stays as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(text, "utf-8")
        os.link(draft, file)
        return True
    except FileExistsError:
        return draft.stat().st_nlink > 1  # made by this call, and a network lost the server's answer
    finally:
        draft.unlink(missing_ok=True)


def _read(file: Path) -> _Seen | None:
    """Return what a lock file says, or None where it is gone."""
    try:
        with file.open("rb") as opened:
            content, beat = opened.read(), os.fstat(opened.fileno()).st_mtime_ns
    except IsADirectoryError:
        return _Seen(None, 0)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return None
        raise
    try:
        return _Seen(_OWNER.validate_json(content), beat)
    except ValidationError:
        return _Seen(None, beat)


def _beat(file: Path, released: threading.Event) -> None:
    while not released.wait(HEARTBEAT_S):
        with contextlib.suppress(OSError):
            os.utime(file)


def _namespace() -> int:
    with contextlib.suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return 0


def _started(pid: int) -> float:
    return psutil.Process(pid).create_time() - psutil.boot_time()
