"""Processes that call a function of the user's own: it may hang, raise or crash, and costs its own call only."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mt.engines.functions import Call, CallResult
from mt.errors import EngineError, describe
from mt.runtime.child import Child, logs_folder

START_S = 600.0
"""How long a process may take to import the function's module (our choice)."""


class FunctionPool:
    """Processes that call one function; one that runs out of time or ends is replaced."""

    def __init__(self, function: str, file: Path, *, batched: bool, timeout_s: float, processes: int):
        """Take the function `FILE.py:NAME` or `module:NAME` whose source is `file`; nothing is started yet.

        A batched function is called with a list of prompts and a list of responses, and returns a list of rewards.
        """
        self._function, self._file, self._batched = function, file, batched
        self._timeout_s, self._processes = timeout_s, processes

    def call(self, calls: Sequence[Call], skip: Collection[int] = ()) -> Iterator[tuple[int, CallResult]]:
        """Yield (index, result) of every call that is not in `skip`, in the order in which they end.

        Raises EngineError where the function's module cannot be imported.
        """
        waiting = [index for index in range(len(calls)) if index not in skip][::-1]
        with self._started(min(self._processes, len(waiting))) as idle, selectors.DefaultSelector() as replies:
            busy: dict[int, tuple[_Process, int, float]] = {}
            while waiting or busy:
                while waiting and idle:
                    process, index = idle.pop(), waiting.pop()
                    process.send({"messages": calls[index].messages, "responses": calls[index].responses})
                    busy[process.replies] = process, index, time.monotonic() + self._timeout_s
                    replies.register(process.replies, selectors.EVENT_READ)
                soonest = min(deadline for _, _, deadline in busy.values())
                ready = {key.fd for key, _ in replies.select(max(0.0, soonest - time.monotonic()))}
                for fd, (process, index, deadline) in list(busy.items()):
                    result: CallResult | None = None
                    if fd in ready:
                        result = process.receive()
                    elif time.monotonic() >= deadline:
                        result = CallResult(None, "timed_out", f"no answer within {self._timeout_s:g} s")
                    if result is not None:
                        replies.unregister(fd)
                        del busy[fd]
                        if result.problem in ("timed_out", "ended"):
                            process.start()
                        idle.append(process)
                        yield index, result

    def check(self) -> None:
        """Raise EngineError where the function cannot be imported."""
        with self._started(1):
            pass

    @contextmanager
    def _started(self, count: int) -> Iterator[list[_Process]]:
        """Start processes for the length of a block."""
        arguments = [self._function, str(self._file), "batched" if self._batched else "single"]
        with tempfile.TemporaryDirectory(prefix="mt-function-") as folder, ExitStack() as stack:
            logs, started = logs_folder() or Path(folder), []
            for number in range(count):
                started.append(_Process(arguments, logs / f"function-{number}.log"))
                stack.callback(started[-1].close)
            yield list(started)


class _Process:
    """One process: requests go to its standard input, replies come over a pipe of their own; its prints are logged."""

    def __init__(self, arguments: list[str], log: Path):
        self._arguments, self._log = arguments, log
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        """Start it, in the place of one that runs no more or has to be stopped; raises EngineError where that fails."""
        self.close()
        replies, theirs = os.pipe()
        self._replies = os.fdopen(replies, "rb")
        try:
            command = ["-m", "mt.engines.functions_worker", str(theirs), *self._arguments]
            self._child = Child(command, output=self._log, pass_fds=(theirs,), grace_s=0.0)
        finally:
            os.close(theirs)
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.replies, selectors.EVENT_READ)
            ready = waiting.select(START_S)
        result = self.receive() if ready else CallResult(None, "timed_out", f"not within {START_S:g} s")
        if result.rewards is None:
            self.close()
            problem = f"it cannot be imported: {result.said}"
            raise EngineError(describe("reward.function", self._arguments[0], problem))

    @property
    def replies(self) -> int:
        """The file descriptor of its replies."""
        return self._replies.fileno()

    def send(self, request: Any) -> None:
        """Send a call; a process that has just ended is noticed by its reply."""
        assert self._child is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()

    def receive(self) -> CallResult:
        """Read one reply; a process that ended, or was killed in the middle of a reply, gives none."""
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            assert self._child is not None
            code = self._child.wait(5.0)
            return CallResult(None, "ended", f"its process ended with code {code}: {self._child.last_error()}")
        return CallResult(**json.loads(line))

    def close(self) -> None:
        """End the process and what it started."""
        if self._child is not None:
            self._child.close()
            self._replies.close()
            self._child = None
