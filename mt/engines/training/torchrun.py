"""Training in processes of its own: started by torchrun, watched through files, ended with this process.

One of them runs `python -m mt.engines.training.torchrun TASK.json PROCESSES`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import mt
from mt import errors
from mt.config.training import TorchrunTrainer
from mt.engines.devices import free_cores
from mt.engines.training.task import (
    Observe,
    TrainingOutcome,
    TrainingTask,
    check_processes,
    check_trainer,
    objective_of,
)
from mt.errors import EngineError, MutualTaughtError, describe

TASK, LOG, PROGRESS, OUTCOME, ERROR = "task.json", "workers.log", "progress.jsonl", "outcome.json", "error.json"
_POLL_S, _PATIENCE_S = 0.2, 15.0
_TAIL_LINES = 5


def train_in_processes(task: TrainingTask, observe: Observe) -> TrainingOutcome:
    """Run the task by torchrun and return its outcome; raises what the first failing process raised."""
    objective_of(task)
    check_trainer(task.trainer, task.training)
    trainer = task.trainer
    assert isinstance(trainer, TorchrunTrainer)  # dispatched by name
    processes = trainer.processes or _gpus(trainer) or 1
    check_processes(processes, task.training)
    threads = trainer.threads or max(1, free_cores() // processes)
    folder = Path(task.scratch)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PROGRESS, OUTCOME, ERROR):
        (folder / name).unlink(missing_ok=True)
    replace(task, trainer=trainer.model_copy(update={"threads": threads})).write(folder / TASK)
    with _running(folder, processes, threads) as workers:
        _follow(workers, folder / PROGRESS, observe)
    return _outcome(folder, workers.returncode)


def _gpus(trainer: TorchrunTrainer) -> int:
    import torch

    return 0 if trainer.device == "cpu" else torch.cuda.device_count()


@contextmanager
def _running(folder: Path, processes: int, threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the workers in a session of their own, and leave none behind."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, "-m", "mt.engines.training.torchrun", str(folder / TASK), str(processes)]
    root = str(Path(mt.__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",  # a checkpoint is data, not code
    }
    with (folder / LOG).open("wb") as log:
        workers = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield workers
        finally:
            _end(workers)


def _follow(workers: subprocess.Popen[bytes], progress: Path, observe: Observe) -> None:
    """Pass every report on until the workers are done."""
    read = 0
    while True:
        try:
            workers.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            done = False
        else:
            done = True
        if progress.is_file():
            with progress.open("rb") as file:
                file.seek(read)
                whole = file.read().rpartition(b"\n")[0]
            for line in whole.splitlines():
                observe(*json.loads(line))
            read += len(whole) + 1 if whole else 0
        if done:
            return


def _end(workers: subprocess.Popen[bytes]) -> None:
    """End whatever still runs of the workers' session: first politely, then not."""
    if workers.poll() is not None:
        return
    os.killpg(workers.pid, signal.SIGTERM)
    try:
        workers.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(workers.pid, signal.SIGKILL)
        workers.wait()


def _outcome(folder: Path, code: int) -> TrainingOutcome:
    if (folder / ERROR).is_file():
        said = json.loads((folder / ERROR).read_text("utf-8"))
        raise getattr(errors, said["type"])(said["text"])
    if code != 0 or not (folder / OUTCOME).is_file():
        lines = (folder / LOG).read_text("utf-8", errors="replace").split("\n")
        last = " | ".join(line.strip() for line in lines if line.strip())[-200 * _TAIL_LINES :]
        raise EngineError(
            describe("trainer", "torchrun", f"ended with code {code} ({last})", mend=f"See {folder / LOG}")
        )
    return TrainingOutcome(**json.loads((folder / OUTCOME).read_text("utf-8")))


def work(task_file: str, processes: int) -> None:
    """Train this process's share; the first process reports progress, outcome and errors by files."""
    folder = Path(task_file).parent
    try:
        _train_share(TrainingTask.read(Path(task_file)), folder, processes)
    except Exception as error:
        _say(folder, error)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # the others wait in a collective operation: torchrun ends them at once


def _train_share(task: TrainingTask, folder: Path, processes: int) -> None:
    import torch

    from mt.engines.training.process import Place, train_in_this_process

    place = Place.from_environment()
    if place.devices != processes:
        raise EngineError(describe("trainer.processes", processes, f"torchrun started {place.devices}"))

    with (folder / PROGRESS).open("a", encoding="utf-8") as progress:

        def observe(step: int, total: int, metrics: dict[str, float]) -> None:
            progress.write(json.dumps([step, total, metrics]) + "\n")
            progress.flush()

        outcome = train_in_this_process(task, observe, place)
    if place.rank == 0:
        (folder / OUTCOME).write_text(json.dumps(asdict(outcome)), "utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _say(folder: Path, error: Exception) -> None:
    """Leave the first error for the process that waits; those that follow from it are of no interest."""
    if isinstance(error, MutualTaughtError):
        said = {"type": type(error).__name__, "text": str(error)}
    else:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        said = {"type": "EngineError", "text": f"a training process failed: {reason}"}
    try:
        with (folder / ERROR).open("x", encoding="utf-8") as file:
            json.dump(said, file)
    except FileExistsError:
        return


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
