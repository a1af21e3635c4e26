"""One of the processes that torchrun starts: `python -m mt.engines.training.worker TASK.json PROCESSES`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from mt.engines.training.task import TrainingTask
from mt.errors import EngineError, MutualTaughtError, describe

PROGRESS, OUTCOME, ERROR = "progress.jsonl", "outcome.json", "error.json"


def main(task_file: str, processes: int) -> None:
    """Train this process's share; the first process reports progress, outcome and errors by files."""
    folder = Path(task_file).parent
    try:
        _train(TrainingTask.read(Path(task_file)), folder, processes)
    except Exception as error:
        _say(folder, error)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # the others wait in a collective operation: torchrun ends them at once


def _train(task: TrainingTask, folder: Path, processes: int) -> None:
    import torch

    from mt.engines.training.build import Place
    from mt.engines.training.here import train_here

    place = Place.from_environment()
    if place.devices != processes:
        raise EngineError(describe("trainer.processes", processes, f"torchrun started {place.devices}"))

    with (folder / PROGRESS).open("a", encoding="utf-8") as progress:

        def observe(step: int, total: int, metrics: dict[str, float]) -> None:
            progress.write(json.dumps([step, total, metrics]) + "\n")
            progress.flush()

        outcome = train_here(task, observe, place)
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
    main(sys.argv[1], int(sys.argv[2]))
