"""One supervised child process: it ends with its parent, and its whole tree ends with it.

The parent holds the write end of the child's standard input, which the kernel closes when the parent ends, however it
ends. The child's program calls `end_with_parent` first, which waits for that. This works the same on Linux and macOS.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import psutil

from mt import errors
from mt.errors import MutualTaughtError

PROJECT = Path(__file__).resolve().parents[2]
IGNORE_USR2 = ["/bin/sh", "-c", 'trap "" USR2; exec "$@"', "sh"]
"""Command prefix: the program and all its children ignore SLURM's stop signal (Python keeps what is ignored)."""
_MARK = "MT_CHILD_"
_KILL_S = 5.0
_LONGEST_REASON = 500
_folders: list[Path] = []


class Child:
    """A Python process that this process started and watches.

    - It runs in a session of its own, so that the terminal's Ctrl-C reaches the parent alone, and imports this
      project's packages from wherever it runs.
    - It ends with its parent, if its program calls `end_with_parent` or reads its standard input to the end.
    - `close` ends its whole tree: its descendants, the other processes of its session, and processes that
      left both, by a variable of their environment. All get SIGTERM and `grace_s` seconds, then SIGKILL.
    - Where its output goes to a file, `last_error` says why it failed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        output: Path | int | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
        ignore_usr2: bool = False,
        grace_s: float = 10.0,
    ) -> None:
        """Start Python with `arguments` ("-m", "module", ...) in `folder`, in `environment` in place of this one's.

        Standard output and error are appended to the file `output`, go where subprocess.PIPE or another number says,
        or (None) where this process's go. With `ignore_usr2`, SLURM's stop signal does not reach it.
        """
        self.log = output if isinstance(output, Path) else None
        self._log_begins = 0
        self.grace_s = grace_s
        self._mark = f"{_MARK}{uuid.uuid4().hex}"
        values = {**(os.environ if environment is None else environment), self._mark: "1"}
        values["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), values.get("PYTHONPATH")]))
        options: dict[str, Any] = {"cwd": folder, "env": values, "pass_fds": pass_fds}
        with contextlib.ExitStack() as stack:
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self.log.open("ab"))
                self._log_begins = log.tell()
                options |= {"stdout": log, "stderr": subprocess.STDOUT}
            elif output is not None:
                options |= {"stdout": output, "stderr": subprocess.STDOUT}
            if ignore_usr2:
                # Held back until the child has been forked, a signal of these milliseconds reaches the parent alone.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
                stack.callback(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGUSR2})
            command = [*(IGNORE_USR2 if ignore_usr2 else []), sys.executable, *arguments]
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=subprocess.PIPE, start_new_session=True, **options
            )

    @property
    def pid(self) -> int:
        """The process's number, which is its session's as well."""
        return self._process.pid

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to its standard input; closing it ends the child."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, where that is piped."""
        assert self._process.stdout is not None
        return self._process.stdout

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until it ends and return the exit code, or None once the time is over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def last_error(self) -> str:
        """Return the last line of what it logged that names an error, else the last line that says anything."""
        logged = self.log.read_bytes()[self._log_begins :] if self.log is not None else b""
        lines = [line.strip() for line in logged.decode("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or ["it wrote nothing"])[-1][-_LONGEST_REASON:]

    def close(self) -> None:
        """End the process and its whole tree; nothing happens where all have ended."""
        tree = self._tree() if self.poll() is None else set()
        try:
            if self.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: of a zombie's group
                    os.killpg(self.pid, signal.SIGTERM)
                self.wait(self.grace_s)
        finally:  # an interrupted wait leaves nothing behind either
            self._process.kill()
            self._process.wait()
            _kill(tree | self._tree())
            with contextlib.suppress(OSError):  # what was not sent yet has no reader any more
                self.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tree(self) -> set[psutil.Process]:
        """Return the other processes that belong to it; a parent that ended first breaks the line of descent."""
        found = set[psutil.Process]()
        with contextlib.suppress(psutil.Error):
            found.update(psutil.Process(self.pid).children(recursive=True))
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if os.getsid(process.pid) == self.pid or self._mark in process.environ():
                    found.add(process)
        return {process for process in found if process.pid != self.pid}


def end_with_parent(grace_s: float = 0.0) -> None:
    """End this process and all its descendants when the parent, which holds its standard input open, is gone.

    With `grace_s`, SIGTERM comes that many seconds before SIGKILL. A process that no `Child` started lives on its own.
    """
    if not any(name.startswith(_MARK) for name in os.environ):
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        if grace_s:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace_s)
        kill_descendants()
        os.killpg(0, signal.SIGKILL)  # its own group: the parent started it in a session of its own

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


def kill_descendants() -> None:
    """Kill all descendants of this process, those in other sessions included."""
    _kill(psutil.Process().children(recursive=True))


def _kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes and wait until they have ended; their exit codes stay for those who wait for them."""
    left = list(processes)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _KILL_S
    while (left := [process for process in left if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def leave_error(error: MutualTaughtError, path: Path) -> None:
    """Write an error to the file, unless it holds one: the first error is the cause of the others."""
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"type": type(error).__name__, "text": str(error)}, file)
    except FileExistsError:
        return


def raise_left_error(path: Path) -> None:
    """Raise the error that was left, if any."""
    if path.is_file():
        said = json.loads(path.read_text("utf-8"))
        raise getattr(errors, said["type"])(said["text"])


@contextlib.contextmanager
def logging_into(folder: Path) -> Iterator[None]:
    """Keep the logs of worker processes in a folder while the block lasts; a process runs one stage at a time."""
    _folders.append(folder)
    try:
        yield
    finally:
        _folders.pop()


def logs_folder() -> Path | None:
    """Return the folder for the logs of worker processes, or None where nobody keeps them."""
    return _folders[-1] if _folders else None
