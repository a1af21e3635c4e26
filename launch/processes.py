"""Processes that leave nothing behind: a child dies with its parent, and its whole tree ends with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen

import psutil

_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36
_PARENT = "MT_PARENT_PID"
_KILL_S = 5.0

IGNORE_USR2 = ["/bin/sh", "-c", 'trap "" USR2; exec "$@"', "sh"]
"""Command prefix: the program and all its children ignore SLURM's stop signal (Python keeps what is ignored)."""


def start(command: Sequence[str], cwd: Path) -> Popen[bytes]:
    """Start a process in a session of its own that ignores the stop signal; its orphans come to this process."""
    _prctl(_SET_SUBREAPER, 1)
    environment = {**os.environ, _PARENT: str(os.getpid())}
    # held back until the child has been forked, a signal of these milliseconds reaches this process alone
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        return Popen([*IGNORE_USR2, *command], cwd=cwd, env=environment, start_new_session=True)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


def die_with_parent() -> None:
    """Ask the kernel to terminate this process when the one that started it is gone."""
    parent = os.environ.get(_PARENT)
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if parent is not None and os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGTERM)


def stop(process: Popen[bytes], grace_s: float) -> None:
    """Terminate a process, give it time to end by itself, then kill what is left of its tree."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill_tree()
    process.poll()


def kill_tree() -> None:
    """Kill all descendants of this process, those in other sessions and the orphans among them included."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=_KILL_S)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _prctl(option: int, value: int) -> None:
    """Linux has these guards, other systems (where only tests and small runs happen) do without."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
