"""vLLM in processes of its own: one worker per GPU (or group of GPUs), started for a job and ended with it.

A worker reads a request and its share of the items from a folder, appends one JSON line per finished item to the
results there, and exits; GPU memory is given back with the process, and a crash stays there. Its parent hands
results on as they are written. A worker whose parent dies ends too: it watches its standard input, which the parent
holds open.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mt.config.engines import VllmGenerator, VllmScorer
from mt.engines.vllm_loop import ITEMS, RESULTS
from mt.errors import ConfigError, EngineError, describe

_POLL_S = 0.05
_GRACE_S = 10.0
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the worker is a process of its own already
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # the context was checked, and scoring asks for one token more
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # workers that each bind to the first cores would share them
}


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
            raise EngineError(describe("vllm worker", self.process.pid, f"ended with code {code}: {self._reason()}"))
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


def run_workers(
    config: VllmGenerator | VllmScorer, module: str, request: Mapping[str, Any], items: Iterable[Any]
) -> Iterator[Any]:
    """Yield each item's result as a worker writes it; `request` goes to every worker, with its share of `items`.

    Raises `EngineError` where a worker fails; all others are ended then, as when the caller stops early.
    """
    request = {**request, "engine": engine_settings(config)}
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mt-vllm-")))
        groups = device_groups(config)
        folders = [root / str(number) for number in range(len(groups))]
        total = _deal(items, folders)
        workers = []
        for group, folder in list(zip(groups, folders, strict=True))[:total]:
            worker = Worker(module, request, folder, _environment(config, group))
            stack.callback(worker.close)
            workers.append(worker)
        yield from _collect(workers, total)


def device_groups(config: VllmGenerator | VllmScorer) -> list[list[str]]:
    """Return the GPUs of each worker; without GPUs, as many empty groups as workers are wanted.

    Raises `ConfigError` where vLLM is not installed, or more GPUs are asked for than there are.
    """
    check_installed()
    devices, size = _visible_gpus(), config.tensor_parallel
    count = config.processes or max(1, len(devices) // size)
    if devices and count * size > len(devices):
        problem = f"with tensor_parallel={size} needs {count * size} GPUs, {len(devices)} are visible"
        raise ConfigError(describe("processes", config.processes, problem, allowed=f"1 to {len(devices) // size}"))
    if not devices and size > 1:
        raise ConfigError(describe("tensor_parallel", size, "there is no GPU", allowed="1"))
    return [devices[i * size : (i + 1) * size] for i in range(count)]


def check_installed() -> None:
    """Raise `ConfigError` where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        mend = "Install the extra: pip install 'mutual-taught[cluster]', or use generator=transformers"
        raise ConfigError(describe("engine", "vllm", "vLLM is not installed", mend=mend))


def engine_settings(config: VllmGenerator | VllmScorer) -> dict[str, Any]:
    """Return the arguments of vLLM's engine that generation and scoring share."""
    settings: dict[str, Any] = {
        "dtype": config.dtype,
        "tensor_parallel_size": config.tensor_parallel,
        "gpu_memory_utilization": config.gpu_memory,
        "max_num_seqs": config.max_sequences,
        "enforce_eager": config.eager,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "seed": 0,
    }
    if config.cache_mib is not None:
        settings["kv_cache_memory_bytes"] = config.cache_mib * 2**20
    return settings


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
            raise EngineError(describe("vllm workers", len(workers), f"gave {received} of {expected} results"))
        if not fresh:
            time.sleep(_POLL_S)


def _visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


def _environment(config: VllmGenerator | VllmScorer, group: Sequence[str]) -> dict[str, str]:
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(group)} if group else {}
    return {**_ENVIRONMENT, "OMP_NUM_THREADS": str(config.threads), **devices}
