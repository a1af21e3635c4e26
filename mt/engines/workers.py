"""Worker processes, one per GPU (or group of GPUs), started for a job and ended with it.

A worker reads a request and its share of the items from a folder, appends one JSON line per finished item to the
results there, and exits; GPU memory is given back with the process, and a crash stays there. Its parent hands
results on as they are written. A worker whose parent dies ends too: it watches its standard input, which the parent
holds open.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mt.errors import EngineError, describe

ITEMS, RESULTS = "items.jsonl", "results.jsonl"
_POLL_S = 0.05
_GRACE_S = 10.0


def run_workers(
    module: str,
    request: Mapping[str, Any],
    items: Iterable[Any],
    groups: Sequence[Sequence[str]],
    environment: Mapping[str, str],
) -> Iterator[Any]:
    """Yield each item's result as a worker writes it; there is one worker for each group of GPUs.

    `request` goes to every worker, with its share of `items`; one that would get none is not started. Raises
    `EngineError` where a worker fails; all others are ended then, as when the caller stops early.
    """
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mt-workers-")))
        folders = [root / str(number) for number in range(len(groups))]
        total = _deal(items, folders)
        workers = []
        for group, folder in list(zip(groups, folders, strict=True))[:total]:
            devices = {"CUDA_VISIBLE_DEVICES": ",".join(group)} if group else {}
            worker = Worker(module, request, folder, {**environment, **devices})
            stack.callback(worker.close)
            workers.append(worker)
        yield from _collect(workers, total)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


class Worker:
    """One running worker process and the results that it has written so far."""

    def __init__(self, module: str, request: Mapping[str, Any], folder: Path, environment: Mapping[str, str]):
        """Write the request beside the items that lie in the folder, and start the process."""
        self.results, self.log = folder / RESULTS, folder / "log.txt"
        self.results.touch()
        path = folder / "request.json"
        path.write_text(json.dumps(request))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._file = self.results.open(encoding="utf-8")
        self._rest = ""

    def read(self) -> Iterator[Any]:
        """Yield the results written since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        yield from map(json.loads, lines)

    def running(self) -> bool:
        """Whether the process lives; raises `EngineError` with the end of its log where it failed."""
        code = self.process.poll()
        if code not in (None, 0):
            raise EngineError(describe("worker", self.process.pid, f"ended with code {code}: {self._reason()}"))
        return code is None

    def close(self) -> None:
        """End the process and those that it started, gently at first."""
        self._file.close()
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _reason(self) -> str:
        lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or ["it wrote nothing"])[-1][-500:]


def _deal(items: Iterable[Any], folders: Sequence[Path]) -> int:
    """Write the items to the workers' folders in turn, and return how many there are."""
    total = 0
    with ExitStack() as stack:
        files = []
        for folder in folders:
            folder.mkdir()
            files.append(stack.enter_context((folder / ITEMS).open("w", encoding="utf-8")))
        for item, file in zip(items, itertools.cycle(files), strict=False):
            file.write(json.dumps(item) + "\n")
            total += 1
    return total


def _collect(workers: Sequence[Worker], expected: int) -> Iterator[Any]:
    received = 0
    while received < expected:
        running = [worker.running() for worker in workers]  # before reading: what is written at the end counts
        fresh = [result for worker in workers for result in worker.read()]
        received += len(fresh)
        yield from fresh
        if not any(running) and received < expected:
            raise EngineError(describe("workers", len(workers), f"gave {received} of {expected} results"))
        if not fresh:
            time.sleep(_POLL_S)


def read_request() -> tuple[dict[str, Any], Path]:
    """Return the request named on the command line and its folder; from now on the process ends with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path = Path(sys.argv[1])
    return json.loads(path.read_text()), path.parent


def read_items(folder: Path) -> Iterator[Any]:
    """Yield the items of a worker's share."""
    with (folder / ITEMS).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open as long as it lives."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)  # its own group: the parent started it in a session of its own
