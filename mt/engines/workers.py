"""Worker processes, one per GPU (or group of GPUs), started for a job and ended with it.

A worker reads a request and its share of the items from a folder, appends one JSON line per finished item to the
results there, and exits; GPU memory is given back with the process, and a crash stays there. Its parent hands
results on as they are written. A worker whose parent dies ends too.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mt.errors import EngineError, describe
from mt.runtime.child import Child, end_with_parent
from mt.runtime.jsonl import JsonLines
from mt.runtime.logs import logs_folder

ITEMS, RESULTS = "items.jsonl", "results.jsonl"
_POLL_S = 0.05


def run_workers(
    module: str,
    request: Mapping[str, Any],
    items: Iterable[Any],
    groups: Sequence[Sequence[str]],
    environment: Mapping[str, str],
) -> Iterator[Any]:
    """Yield each item's result as a worker writes it; there is one worker for each group of GPUs.

    `request` goes to every worker, with its share of `items`; one that would get none is not started. Raises
    `EngineError` where a worker fails; all others are ended then, as when the caller stops early. Their logs stay in
    the scratch folder of the stage at work.
    """
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workers-", dir=logs_folder())))
        folders = [root / str(number) for number in range(len(groups))]
        total = _deal(items, folders)
        workers = []
        for number, (group, folder) in enumerate(list(zip(groups, folders, strict=True))[:total]):
            devices = {"CUDA_VISIBLE_DEVICES": ",".join(group)} if group else {}
            kept = logs_folder()
            log = kept / f"worker-{number}.log" if kept else folder / "log.txt"
            worker = Worker(module, request, folder, {**environment, **devices}, log)
            stack.callback(worker.child.close)
            workers.append(worker)
        yield from _collect(workers, total)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = [word.strip() for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip()]
    count = torch.cuda.device_count()
    if count and named[0:1] and named[0].startswith("MIG-"):
        return named  # one process sees one MIG device at most; each worker is given another one
    return named[:count] if named else [str(index) for index in range(count)]


class Worker:
    """One running worker process and the results that it has written so far."""

    def __init__(
        self, module: str, request: Mapping[str, Any], folder: Path, environment: Mapping[str, str], log: Path
    ):
        """Write the request beside the items that lie in the folder, and start the process."""
        self.results = JsonLines[Any](folder / RESULTS, refuse="damaged", error=EngineError)
        path = folder / "request.json"
        path.write_text(json.dumps(request))
        self.child = Child(["-m", module, str(path)], output=log, environment={**os.environ, **environment})
        self.mend = f"See {log}" if logs_folder() else ""

    def running(self) -> bool:
        """Whether the process lives; raises `EngineError` with the end of its log where it failed."""
        code = self.child.poll()
        if code not in (None, 0):
            problem = f"ended with code {code}: {self.child.last_error()}"
            raise EngineError(describe("worker", self.child.pid, problem, mend=self.mend))
        return code is None


def _deal(items: Iterable[Any], folders: Sequence[Path]) -> int:
    """Write the items to the workers' folders in turn, and return how many there are."""
    total = 0
    with ExitStack() as stack:
        shares = [stack.enter_context(JsonLines[Any](folder / ITEMS)) for folder in folders]
        for item, share in zip(items, itertools.cycle(shares), strict=False):
            share.append(item)
            total += 1
    return total


def _collect(workers: Sequence[Worker], expected: int) -> Iterator[Any]:
    received = 0
    while received < expected:
        running = [worker.running() for worker in workers]  # before reading: what is written at the end counts
        fresh = [result for worker in workers for result in worker.results.follow()]
        received += len(fresh)
        yield from fresh
        if not any(running) and received < expected:
            raise EngineError(describe("workers", len(workers), f"gave {received} of {expected} results"))
        if not fresh:
            time.sleep(_POLL_S)


def read_request() -> tuple[dict[str, Any], Path]:
    """Return the request named on the command line and its folder; from now on the process ends with its parent."""
    end_with_parent()
    path = Path(sys.argv[1])
    return json.loads(path.read_text()), path.parent


def read_items(folder: Path) -> Iterator[Any]:
    """Yield the items of a worker's share."""
    return JsonLines[Any](folder / ITEMS, refuse="damaged", error=EngineError).read()
