"""Training in processes of its own: started by torchrun, watched through files, ended with this process.

One of them runs `python -m mt.engines.training.torchrun TASK.json PROCESSES`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

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
from mt.runtime.child import Child, end_with_parent
from mt.runtime.jsonl import JsonLines

TASK, LOG, PROGRESS, OUTCOME, ERROR = "task.json", "workers.log", "progress.jsonl", "outcome.json", "error.json"
_POLL_S, _GRACE_S = 0.2, 15.0


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
    for name in (LOG, PROGRESS, OUTCOME, ERROR):
        (folder / name).unlink(missing_ok=True)
    replace(task, trainer=trainer.model_copy(update={"threads": threads})).write(folder / TASK)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, "-m", "mt.engines.training.torchrun", str(folder / TASK), str(processes)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",  # a checkpoint is data, not code
    }
    progress = JsonLines[Any](folder / PROGRESS)
    with Child(command, output=folder / LOG, environment=environment, grace_s=_GRACE_S) as workers:
        code = None
        while code is None:
            code = workers.wait(_POLL_S)
            for report in progress.follow():
                observe(*report)
    return _outcome(folder, code, workers.last_error())


def _gpus(trainer: TorchrunTrainer) -> int:
    import torch

    return 0 if trainer.device == "cpu" else torch.cuda.device_count()


def _outcome(folder: Path, code: int, last_error: str) -> TrainingOutcome:
    if (folder / ERROR).is_file():
        said = json.loads((folder / ERROR).read_text("utf-8"))
        raise getattr(errors, said["type"])(said["text"])
    if code != 0 or not (folder / OUTCOME).is_file():
        problem = f"ended with code {code} ({last_error})"
        raise EngineError(describe("trainer", "torchrun", problem, mend=f"See {folder / LOG}"))
    return TrainingOutcome(**json.loads((folder / OUTCOME).read_text("utf-8")))


def work(task_file: str, processes: int) -> None:
    """Train this process's share and end the process; the first one reports progress, outcome and errors by files."""
    end_with_parent()
    folder, code = Path(task_file).parent, 0
    try:
        _train_share(TrainingTask.read(Path(task_file)), folder, processes)
    except Exception as error:
        _say(folder, error)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # At once, without the interpreter's clean-up. After an error the others wait in a collective operation until
    # torchrun ends them. After a success all is written, but a thread pool that is taken down may abort the process
    # ("terminate called without an active exception"), and the training would count as failed.
    os._exit(code)


def _train_share(task: TrainingTask, folder: Path, processes: int) -> None:
    import torch

    from mt.engines.training.process import Place, train_in_this_process

    place = Place.from_environment()
    if place.devices != processes:
        raise EngineError(describe("trainer.processes", processes, f"torchrun started {place.devices}"))

    with JsonLines[Any](folder / PROGRESS) as progress:
        outcome = train_in_this_process(task, lambda *report: progress.append(report), place)
    if place.rank == 0:
        (folder / OUTCOME).write_text(json.dumps(asdict(outcome)), "utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that leaves early would cut off the others


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
