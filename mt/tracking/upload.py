"""Uploading while a run goes on: W&B's own live synchronization follows the run's offline file.

The run itself is always written offline, so that a server that is slow, broken or away concerns this process only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_OWNER = "wandb/worker.json"


class Uploader:
    """A process that uploads an offline file as it grows.

    From another thread, `on_line` hears what W&B says, and `on_end` whether all was uploaded when the process ended.
    """

    def __init__(self, file: Path, on_line: Callable[[str], None], on_end: Callable[[bool], None]) -> None:
        self.file = file
        self._on_line, self._on_end = on_line, on_end
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mt.tracking.upload", *map(str, waiting(file.parents[2])), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "WANDB_SILENT": "false"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until everything is uploaded; after the time is over the process is ended. Says whether it was."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)  # W&B's own service may keep the pipe open for longer
        return marker(self.file).exists()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._on_line(line.rstrip())
        self._process.wait()
        self._on_end(marker(self.file).exists())


def marker(file: Path) -> Path:
    """Return the file beside an offline file that says that all of it was uploaded."""
    return file.with_suffix(".wandb.synced")


def attempts(folder: Path) -> list[Path]:
    """Return the offline files of a run's attempts, in order of their start."""
    return sorted(path for path in folder.glob("wandb/*run-*/*.wandb") if not path.parent.is_symlink())


def waiting(folder: Path) -> list[Path]:
    """Return the offline files of a run that are not, or not completely, uploaded."""
    return [file for file in attempts(folder) if not marker(file).exists()]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say, while the block lasts, that this process writes a run's offline file."""
    note = folder / _OWNER
    note.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def is_open(folder: Path) -> bool:
    """Say whether a process still writes a run's offline file; of another machine's process only that it began."""
    try:
        owner = json.loads((folder / _OWNER).read_text())
    except FileNotFoundError:
        return False
    return bool(owner["host"] != socket.gethostname() or psutil.pid_exists(owner["pid"]))


def main(*files: str) -> None:
    """Upload earlier attempts, then a file that still grows until its run has ended.

    W&B appends what a resumed attempt logs, so that an attempt must not arrive before the one it continues.
    Ends at once when the process that wants the upload is gone.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from wandb.cli.cli import cli

    *earlier, growing = dict.fromkeys(files)
    if earlier:
        cli(["sync", *earlier], standalone_mode=False)
    cli(["beta", "sync", "--live", "--yes", growing], standalone_mode=False)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
