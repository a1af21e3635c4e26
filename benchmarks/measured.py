"""What the measurements share: measured commands, tables of the store, files of rows, and pages that scripts write."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from mt.runtime.lock import Lock
from mt.types import Rewards
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.tables import read
from mt.workflow.work import TABLE

T = TypeVar("T")
_POLL_S = 0.02


@dataclass(frozen=True)
class Measured:
    """A finished command: wall time, processor time and peak resident memory of it and of the processes it started."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def measure(command: Sequence[str]) -> Measured:
    """Run a command to its end; raises RuntimeError with what it printed where it fails."""
    before, begun, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as printed:
        with subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT) as child:
            while child.returncode is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    root = psutil.Process(child.pid)
                    tree = (root, *root.children(recursive=True))
                    peak = max(peak, sum(one.memory_info().rss for one in tree) / 2**20)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_POLL_S)
        seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        if child.returncode:
            printed.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with code {child.returncode}:\n{printed.read()}")
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu_seconds, peak)


def rows_of(store: Store, stage: Stage, row_type: type[T]) -> list[T]:
    """Return a stage's table."""
    return read(store.path(stage) / TABLE, row_type)


def rewards_of(store: Store, stage: Stage) -> dict[str, list[float]]:
    """Return a table of rewards by prompt."""
    return {row.prompt_id: row.rewards for row in rows_of(store, stage, Rewards)}


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a finished run's rows behind the others, in one piece: several measurements may share the file."""
    with Lock(path.with_suffix(".lock")).hold():
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        if not path.is_file():
            writer.writeheader()
        writer.writerows(rows)
        with path.open("a", newline="") as file:
            file.write(text.getvalue())


def write_between_marks(page: Path, module: str, text: str) -> None:
    """Replace what a script wrote into a page before: what stands between its mark and the end mark."""
    begin, end = f"<!-- written by python -m {module} -->\n", "<!-- end -->\n"
    old = page.read_text("utf-8")
    page.write_text(re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{text}{end}", old, flags=re.DOTALL), "utf-8")
