"""Live upload: W&B's own synchronization follows the run's offline file.

The run itself is always written offline, so that a server that is slow, broken or away concerns this process only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mt.runtime.child import Child, end_with_parent
from mt.runtime.lock import Lock

_GRACE_S = 2.0


class Uploader:
    """A process that uploads an offline file as it grows.

    From another thread, `on_line` is called with each line that W&B prints, and `on_end` with whether all was uploaded.
    """

    def __init__(self, file: Path, on_line: Callable[[str], None], on_end: Callable[[bool], None]) -> None:
        self.file = file
        self._on_line, self._on_end = on_line, on_end
        files = [*waiting(file.parents[2]), file]
        self._child = Child(
            ["-m", "mt.tracking.upload", *map(str, files)],
            output=subprocess.PIPE,
            environment={**environment(), "WANDB_SILENT": "false"},
            grace_s=_GRACE_S,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until everything is uploaded; after the time is over the process is ended. Says whether it was."""
        self._child.wait(timeout_s)
        self._child.close()  # W&B's own service as well, which would keep the pipe open
        self._reader.join(1.0)
        return marker(self.file).exists()

    def _read(self) -> None:
        for line in self._child.stdout:
            self._on_line(line.decode("utf-8", "replace").rstrip())
        self._child.wait()
        self._on_end(marker(self.file).exists())


def environment() -> dict[str, str]:
    """Return the environment of a process with a W&B client of its own; this process's client may end before it."""
    return {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}


def marker(file: Path) -> Path:
    """Return the file beside an offline file that says that all of it was uploaded."""
    return file.with_suffix(".wandb.synced")


def attempts(folder: Path) -> list[Path]:
    """Return the offline files of a run's attempts, in order of their start."""
    return sorted(path for path in folder.glob("wandb/*run-*/*.wandb") if not path.parent.is_symlink())


def waiting(folder: Path) -> list[Path]:
    """Return the offline files of a run that are not, or not completely, uploaded."""
    return [file for file in attempts(folder) if not marker(file).exists()]


def writing(file: Path) -> Lock:
    """Return the lock of the process that writes an offline file."""
    return Lock(file)


def is_open(folder: Path) -> bool:
    """Say whether a process still writes a run's offline file; of another machine's process only that it began."""
    return any(writing(file).owner() for file in attempts(folder))


def main(*files: str) -> None:
    """Upload earlier attempts, then a file that still grows until its run has ended.

    W&B appends what a resumed attempt logs, so that an attempt must not arrive before the one it continues.
    Ends at once when the process that wants the upload is gone.
    """
    end_with_parent()
    from wandb.cli.cli import cli

    *earlier, growing = dict.fromkeys(files)
    if earlier:
        cli(["sync", *earlier], standalone_mode=False)
    cli(["beta", "sync", "--live", "--yes", growing], standalone_mode=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
