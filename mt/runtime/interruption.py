"""Signals that ask a process to stop (Ctrl-C, SIGTERM, SIGHUP): one exception, whatever comes how often."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

SAID = "interrupted; nothing is lost. Run the same command to continue"
STATUS = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BURST_S = 2.0
"""Signals within this time are one request. A later one counts again: the first may have come where it was lost."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop."""


@dataclass
class StopRequest:
    """Whether the process was asked to stop; libraries may have turned `Interrupted` into an error of their own."""

    made: bool = False


@contextlib.contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Raise `Interrupted` in the block at a signal that asks the process to stop."""
    request, last = StopRequest(), float("-inf")

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        request.made, now = True, time.monotonic()
        if now - last > _BURST_S:
            last = now
            raise Interrupted(SAID)

    try:
        with _handled_by(stop):
            yield request
    finally:
        if request.made:
            heed_no_more()


def heed_no_more() -> None:
    """Ignore further signals in a command that is about to end and has said so: while the interpreter shuts down they
    would have their default effect, and another exit status.
    """
    for number in _heeded():
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore such signals inside the block, which has to be short."""
    with _handled_by(signal.SIG_IGN):
        yield


def end_at_once() -> None:
    """End this process at such a signal, with one line: for a command that still imports, and has begun nothing."""
    for number in _heeded():
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for other in _heeded():
        signal.signal(other, signal.SIG_IGN)  # the line is said once
    with contextlib.suppress(OSError):
        os.write(2, f"{SAID}\n".encode())
    os._exit(STATUS)


def _heeded() -> list[signal.Signals]:
    """Return the signals that this process was not started to ignore, as nohup and shells in the background do."""
    if threading.current_thread() is not threading.main_thread():
        return []  # only the main thread handles signals
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _heeded()}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
