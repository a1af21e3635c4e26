"""Commands in processes of their own: forks of one that has imported all that a run imports, or new interpreters.

A brief run imports for five seconds and computes for three. Most kills hit forks, whose time is the run's own; the
others hit the imports, and the start and end of an interpreter, too.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import psutil

PATIENCE_S = 900.0
"""A command that has not ended after so long hangs, also on a busy machine."""

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.soak.preload"])


class Started:
    """`python -m MODULE ARGUMENTS`, started."""

    def __init__(self, arguments: list[str], *, module: str = "mt.run", fresh: bool = False) -> None:
        """Start it as a fork, or in a `fresh` interpreter."""
        self._folder = tempfile.TemporaryDirectory(prefix="mt-soak-stderr-")
        stderr = self._stderr = Path(self._folder.name) / "stderr"
        stderr.touch()
        if fresh:
            with stderr.open("wb") as stream:
                words = [sys.executable, "-m", module, *arguments]
                self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stream)
        else:
            self._process = _FORKS.Process(target=_run, args=(module, arguments, str(stderr), dict(os.environ)))
            self._process.start()

    @property
    def status(self) -> int | None:
        """The exit status, negative after a signal that ended the process; None while it runs."""
        return self._process.poll() if isinstance(self._process, subprocess.Popen) else self._process.exitcode

    @property
    def stderr(self) -> str:
        """What it has printed on its standard error stream."""
        return self._stderr.read_text(errors="replace")

    def compute(self, seconds: float) -> bool:
        """Let it compute so long, in seconds of a CPU; False where it ended before."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            while self.status is None:
                spent = process.cpu_times()
                if spent.user + spent.system >= seconds:
                    return True
                time.sleep(0.002)
        return False

    def send(self, name: str) -> None:
        """Send it a signal, unless it has ended."""
        if self.status is None:
            os.kill(self._process.pid or 0, signal.Signals[name])

    def end(self) -> int:
        """Wait for its end and return the exit status; raises TimeoutError where it hangs."""
        until = time.monotonic() + PATIENCE_S
        while (status := self.status) is None:
            if time.monotonic() > until:
                self.send("SIGKILL")
                raise TimeoutError(f"no end after {PATIENCE_S:.0f} s, having said {self.stderr[-300:]!r}")
            time.sleep(0.002)
        return status


def _run(module: str, arguments: list[str], stderr: str, environment: dict[str, str]) -> None:
    from mt.runtime.interruption import end_at_once

    os.environ.update(environment)  # which may have changed since the forks' parent was started
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    end_at_once()  # as in a new interpreter that still imports
    sys.argv = [module, *arguments]
    sys.exit(importlib.import_module(module).main(arguments))
