"""One of the processes that share a training: `python -m mt.engines.training.torchrun_worker TASK.json PROCESSES`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mt.engines.training.task import TrainingTask
from mt.engines.training.torchrun import ERROR, OUTCOME, PROGRESS
from mt.errors import EngineError, MutualTaughtError, describe
from mt.runtime.child import end_with_parent, leave_error
from mt.runtime.jsonl import JsonLines


def work(task_file: str, processes: int) -> None:
    """Train this process's share and end the process; the first one reports progress, result and errors by files."""
    end_with_parent()
    folder, code = Path(task_file).parent, 0
    try:
        _train_share(TrainingTask.read(Path(task_file)), folder, processes)
    except Exception as error:
        if not isinstance(error, MutualTaughtError):
            error = EngineError(f"a training process failed: {' '.join(f'{type(error).__name__}: {error}'.split())}")
        leave_error(error, folder / ERROR)
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

    from mt.engines.training.process import TrainingProcess, train_in_this_process

    process = TrainingProcess.from_environment()
    if process.world_size != processes:
        raise EngineError(describe("trainer.processes", processes, f"torchrun started {process.world_size}"))

    with JsonLines[Any](folder / PROGRESS) as progress:
        outcome = train_in_this_process(task, lambda *report: progress.append(report), process)
    if process.rank == 0:
        (folder / OUTCOME).write_text(json.dumps(asdict(outcome)), "utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # a process that leaves early would cut off the others


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
