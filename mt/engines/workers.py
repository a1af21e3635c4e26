"""Worker processes, one per GPU (or group of GPUs), that serve one job after another until they are closed.

A worker reads a request, loads what it asks for, and waits for jobs: of each it reads its share of the items from a
folder and appends one JSON line per finished item to the results there. GPU memory is given back with the process,
and a crash stays there. Its parent hands results on as they are written. A worker whose parent dies ends too.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mt.errors import EngineError, MutualTaughtError, describe
from mt.runtime.child import Child, end_with_parent, leave_error, logs_folder, raise_left_error
from mt.runtime.jsonl import JsonLines

ITEMS, RESULTS, JOBS, MODEL, ERROR = "items.jsonl", "results.jsonl", "jobs.jsonl", "model", "error.json"
_POLL_S = 0.05


class Workers:
    """A worker process for each group of GPUs; none is started before it has something to do."""

    def __init__(
        self,
        module: str,
        request: Mapping[str, Any],
        groups: Sequence[Sequence[str]],
        environment: Mapping[str, str],
    ) -> None:
        """Take the request that every worker reads at its start; its "model" is the folder to load."""
        self.module, self.request, self.groups, self.environment = module, request, groups, environment
        self._workers: dict[int, Worker] = {}

    def run(
        self, job: Mapping[str, Any], items: Iterable[Any], together: Callable[[Any], Any] | None = None
    ) -> Iterator[Any]:
        """Yield each item's result as a worker writes it; `job` goes to every worker, with its share of the items.

        Items that follow each other and are equal in what `together` returns go to the same worker. Raises
        what a worker raises, `EngineError` where it ends otherwise; all are ended then, as when the caller stops
        early, and their logs are kept in the scratch folder of the stage at work.
        """
        with tempfile.TemporaryDirectory(prefix="workers-", dir=logs_folder()) as root:
            folders = [Path(root) / str(number) for number in range(len(self.groups))]
            total = _deal(items, folders, together)
            busy = [number for number, folder in enumerate(folders) if (folder / ITEMS).is_file()]
            try:
                for number in busy:
                    if number not in self._workers:
                        worker = Worker(self.module, self.request, self.groups[number], self.environment)
                        self._workers[number] = worker
                    self._workers[number].begin(job, folders[number])
                yield from _collect([self._workers[number] for number in busy], total)
            except BaseException:  # also where the caller stops early: the workers would go on
                self._keep_logs()
                self.close()
                raise

    def close(self) -> None:
        """End the processes."""
        workers, self._workers = self._workers, {}
        for worker in workers.values():
            worker.close()

    def _keep_logs(self) -> None:
        if (kept := logs_folder()) is not None:
            for number, worker in self._workers.items():
                with (kept / f"worker-{number}.log").open("ab") as log:
                    log.write(worker.log.read_bytes())


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = [word.strip() for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip()]
    count = torch.cuda.device_count()
    if count and named[0:1] and named[0].startswith("MIG-"):
        return named  # one process sees one MIG device at most; each worker is given another one
    return named[:count] if named else [str(index) for index in range(count)]


class Worker:
    """One running worker process and the results of its job that it has written so far."""

    def __init__(
        self, module: str, request: Mapping[str, Any], devices: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Start the process in a folder of its own.

        The model has the same name there, whatever folder it is: vLLM keys its compiled graphs by that name.
        """
        self._held = ExitStack()
        self.folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="worker-")))
        self.log, request = self.folder / "log.txt", dict(request)
        if MODEL in request:
            (self.folder / MODEL).symlink_to(Path(request[MODEL]).absolute(), target_is_directory=True)
            request[MODEL] = MODEL
        (self.folder / "request.json").write_text(json.dumps(request))
        own = {"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}
        self.child = Child(
            ["-m", module, str(self.folder / "request.json")],
            output=self.log,
            environment={**os.environ, **environment, **own},
            folder=self.folder,
        )
        self.results = JsonLines[Any](self.folder / RESULTS)

    def begin(self, job: Mapping[str, Any], folder: Path) -> None:
        """Hand on a job, whose share of the items lies in the folder."""
        (folder / "job.json").write_text(json.dumps(job))
        self.results = JsonLines[Any](folder / RESULTS, refuse="damaged", error=EngineError)
        with JsonLines[Any](self.folder / JOBS) as jobs:
            jobs.append([str(folder)])

    def running(self) -> bool:
        """Whether the process lives; raises what it raised, or `EngineError` with the end of its log."""
        code = self.child.poll()
        if code not in (None, 0):
            raise_left_error(self.folder / ERROR)
            problem = f"ended with code {code}: {self.child.last_error()}"
            fix = f"See {logs_folder()}" if logs_folder() else ""
            raise EngineError(describe("worker", self.child.pid, problem, fix=fix))
        return code is None

    def close(self) -> None:
        """End the process and remove its folder."""
        self.child.close()
        self._held.close()


def _deal(items: Iterable[Any], folders: Sequence[Path], together: Callable[[Any], Any] | None) -> int:
    """Write the items to the workers' folders in turn, and return how many there are."""
    total, last, turns = 0, None, itertools.cycle(range(len(folders)))
    with ExitStack() as stack:
        shares = [stack.enter_context(JsonLines[Any](folder / ITEMS)) for folder in folders]
        turn = 0
        for item in items:
            group = together(item) if together else None
            if not total or together is None or group != last:
                turn, last = next(turns), group
            shares[turn].append(item)
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


@contextmanager
def requested() -> Iterator[tuple[dict[str, Any], Path]]:
    """Give the request named on the command line and its folder; from now on the process ends with its parent.

    An error of this project's own that leaves the block is left for the parent.
    """
    end_with_parent()
    path = Path(sys.argv[1])
    try:
        yield json.loads(path.read_text()), path.parent
    except MutualTaughtError as error:
        leave_error(error, path.parent / ERROR)
        raise


def read_jobs(place: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """Yield one job after another, each with the folder of its items and results; ends with the process only."""
    jobs = JsonLines[Any](place / JOBS)
    while True:
        for (folder,) in jobs.follow():
            yield json.loads((Path(folder) / "job.json").read_text()), Path(folder)
        time.sleep(_POLL_S)


def read_items(folder: Path) -> Iterator[Any]:
    """Yield the items of a worker's share."""
    return JsonLines[Any](folder / ITEMS, refuse="damaged", error=EngineError).read()
