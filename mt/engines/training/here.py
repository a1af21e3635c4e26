"""One training in this process: read, plan, load, train, publish. `inline` and every torchrun worker run it."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from mt.engines.devices import cpu_threads
from mt.engines.models import check_context
from mt.engines.text import load_tokenizer
from mt.engines.training.build import Place, arguments, build
from mt.engines.training.checkpoints import CHECKPOINTS, newest
from mt.engines.training.checks import check_trainer
from mt.engines.training.data import plan, read
from mt.engines.training.examples import Examples
from mt.engines.training.lora import adapt, merge
from mt.engines.training.meter import peak_memory_mib
from mt.engines.training.models import load_for_training, publish
from mt.engines.training.task import Observe, TrainingOutcome, TrainingTask, objective_of
from mt.engines.training.trainer import BatchTrainer
from mt.errors import EngineError, MutualTaughtError, describe

_NEARLY_FULL = 2**20


def train_here(task: TrainingTask, observe: Observe, place: Place) -> TrainingOutcome:
    """Train in this process and write the model folder (the first process does); return what was done.

    Raises `ConfigError`, `DataError` or `ModelError` before anything heavy, `EngineError` in training.
    """
    objective = objective_of(task)
    check_trainer(task.trainer, task.training)
    check_context(Path(task.model), task.training.max_length, "training.max_length")
    tokenizer = load_tokenizer(task.model)
    data = read(task, tokenizer, objective)
    batches = plan(task, data)
    with cpu_threads(task.trainer.threads), _quiet(), spared_collector():
        args = arguments(task, place)
        model = load_for_training(task)
        adapt(model, task)
        trainer = build(task, args, model, tokenizer, data, batches, objective, observe, place)
        with _full_disk_named(Path(task.scratch)):
            outcome = _run(trainer, task, data, batches)
            _publish(trainer, tokenizer, task)
    if torch.cuda.is_available():
        del trainer, model
        gc.collect()
        torch.cuda.empty_cache()
    return outcome


def _run(trainer: BatchTrainer, task: TrainingTask, data: Examples, batches: list[list[int]]) -> TrainingOutcome:
    kept = newest(Path(task.scratch) / CHECKPOINTS)
    try:
        trainer.train(resume_from_checkpoint=str(kept) if kept else None)
    except torch.OutOfMemoryError as error:
        mend = "Lower it, set trainer.gradient_checkpointing=true, or use trainer=torchrun with more GPUs"
        problem = "a micro-batch of so many tokens does not fit into memory"
        value = task.trainer.micro_batch_tokens
        raise EngineError(describe("trainer.micro_batch_tokens", value, problem, mend=mend)) from error
    return _outcome(trainer, data, batches)


def _outcome(trainer: BatchTrainer, data: Examples, batches: list[list[int]]) -> TrainingOutcome:
    meter, examples = trainer.meter, data.examples
    used = len({row for batch in batches for row in batch})
    sequences = [sequence for batch in batches for row in batch for sequence in examples[row].sequences]
    return TrainingOutcome(
        rows=data.rows,
        used=used,
        dropped=data.rows - used,
        truncated=data.truncated,
        tokens=sum(len(ids) for ids, _ in sequences),
        trained_tokens=sum(count for _, count in sequences),
        steps=len(batches),
        seconds=round(meter.seconds, 3),
        tokens_per_second=round(meter.tokens_per_second, 1),
        peak_memory_mib=round(peak_memory_mib(trainer.args.device), 1),
        devices=trainer.steps.devices,
        last=meter.last,
    )


def _publish(trainer: BatchTrainer, tokenizer: Any, task: TrainingTask) -> None:
    """Write the model folder (the first process does); with ZeRO-3 every process gives its share of the weights."""
    merge(trainer.model)
    state = trainer.accelerator.get_state_dict(trainer.deepspeed) if _scattered(trainer) else None
    if trainer.is_world_process_zero():
        publish(trainer.model, tokenizer, Path(task.model), Path(task.output), state)


def _scattered(trainer: BatchTrainer) -> bool:
    engine: Any = trainer.deepspeed
    return engine is not None and engine.zero_optimization_stage() == 3


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """Say that the disk is full where safetensors and torch say something else of their own."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if isinstance(error, MutualTaughtError) or shutil.disk_usage(folder).free > _NEARLY_FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


@contextmanager
def spared_collector() -> Iterator[None]:
    """Spare what is there already from garbage collection: accelerate asks for one, and it takes half a second."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and warning about new reward heads inside the block."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
