"""A bounded queue to the worker process: sending never blocks, and a lost worker costs the mirror only."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mt.runtime.child import Child


class Channel:
    """Messages to a worker process; `on_event` is called with what it reports (from another thread)."""

    def __init__(
        self, log: Path, environment: Mapping[str, str], limit: int, on_event: Callable[[dict[str, Any]], None]
    ) -> None:
        self.limit = limit
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._done = threading.Event()
        self._on_event = on_event
        self._child = self._open(log, environment)
        threading.Thread(target=self._write, daemon=True, name="tracking").start()
        threading.Thread(target=self._read, daemon=True, name="tracking reports").start()

    def send(self, message: Mapping[str, Any], *, droppable: bool = False) -> None:
        """Queue a message; a droppable one is left out, and counted, while the queue is full."""
        line = json.dumps(message, default=str).encode() + b"\n"
        with self._wake:
            if droppable and len(self._queue) >= self.limit:
                self.dropped += 1
                return
            self._queue.append(line)
            self._wake.notify()

    def close(self, timeout_s: float) -> bool:
        """Send what is queued and wait for the worker's end; False where it goes on behind the run's back."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        return self._done.wait(timeout_s)

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    def _open(self, log: Path, environment: Mapping[str, str]) -> Child:
        log.parent.mkdir(parents=True, exist_ok=True)
        reports, reporting = os.pipe()
        self._reports = os.fdopen(reports)
        worker = ["-m", "mt.tracking.worker", str(reporting)]
        try:
            return Child(worker, output=log, folder=log.parent, environment=environment, pass_fds=[reporting])
        finally:
            os.close(reporting)

    def _write(self) -> None:
        pipe = self._child.stdin
        with contextlib.suppress(OSError):
            while (line := self._next()) is not None:
                pipe.write(line)
                if not self._queue:
                    pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _next(self) -> bytes | None:
        with self._wake:
            while not self._queue and not self._closed:
                self._wake.wait()
            return self._queue.popleft() if self._queue else None

    def _read(self) -> None:
        event: dict[str, Any] = {}
        for line in self._reports:
            event = json.loads(line)
            self._on_event(event)
        if event.get("event") != "finished":
            self._on_event({"event": "lost"})
        self._child.wait()
        self._done.set()
