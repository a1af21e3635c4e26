"""The data of a task: its tables as sequences, and the rows of every optimizer step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mt.engines.text import end_of_turn_id
from mt.engines.training.batching import global_batches
from mt.engines.training.examples import (
    Examples,
    Reader,
    read_conversations,
    read_demonstrations,
    read_pairs,
)
from mt.engines.training.task import TrainingTask
from mt.errors import DataError, describe
from mt.objectives.registry import Objective
from mt.types import Demonstration, Pair, PairLogProbs
from mt.workflow import tables


def read(task: TrainingTask, tokenizer: Any, objective: Objective | None) -> Examples:
    """Read the task's tables as sequences; raises `DataError` where no row is left."""
    limits = (task.training.max_length, task.training.truncation)
    reader = Reader(tokenizer, end_of_turn_id(tokenizer, task.model), *limits)
    if task.kind == "sft":
        data = read_demonstrations(reader, _rows(task.tables, Demonstration))
    elif objective is None:
        data = read_conversations(
            reader, _rows(task.tables, Pair), strip_bos=task.hyperparameters.get("strip_bos", False)
        )
    else:
        references = _rows(task.references, PairLogProbs) if objective.needs_reference else None
        wins = objective.needs_win_probabilities
        data = read_pairs(reader, _rows(task.tables, Pair), references, win_probabilities=wins)
    if not data.examples:
        problem = f"no row is left to train on ({data.dropped} of {data.rows} dropped)"
        raise DataError(describe("training rows", 0, problem, mend="Raise max_length, or set truncation=left"))
    return data


def plan(task: TrainingTask, data: Examples) -> list[list[int]]:
    """Return the rows of every optimizer step; raises `DataError` where there is none."""
    config = task.training
    batches = global_batches(
        [example.padded for example in data.examples],
        config.batch_size,
        epochs=config.epochs,
        seed=task.seed,
        buckets=config.group_by_length,
        drop_last=config.drop_last,
    )
    if not batches:
        problem = f"fill no batch of {config.batch_size}"
        raise DataError(describe("training rows", len(data.examples), problem, mend="Set drop_last=false"))
    return batches


def _rows(paths: list[str], row_type: type[Any]) -> list[Any]:
    return [row for path in paths for row in tables.read(Path(path), row_type)]
