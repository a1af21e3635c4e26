"""One training in this process: read, plan, load, train, publish. `inline` and every torchrun worker run it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments
from transformers.utils import logging

from mt.engines.devices import cpu_threads
from mt.engines.models import check_context
from mt.engines.text import end_of_turn_id, load_tokenizer
from mt.engines.training import forward
from mt.engines.training.batching import global_batches
from mt.engines.training.checkpoints import CHECKPOINTS, KEPT, WHOLE, Clock, checkpoint_folder, newest
from mt.engines.training.examples import (
    Examples,
    Reader,
    read_conversations,
    read_demonstrations,
    read_pairs,
)
from mt.engines.training.meter import Meter, peak_memory_mib
from mt.engines.training.models import load_for_training, publish
from mt.engines.training.task import Observe, TrainingOutcome, TrainingTask, objective_of
from mt.engines.training.trainer import BatchTrainer, Steps
from mt.errors import DataError, EngineError, describe
from mt.objectives.registry import Objective
from mt.types import Demonstration, Pair, PairLogProbs
from mt.workflow import tables

_OPTIMIZERS = {"adamw": "adamw_torch_fused", "rmsprop": "rmsprop"}
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


@dataclass(frozen=True)
class Place:
    """A process among those that share the training."""

    rank: int
    devices: int

    @staticmethod
    def from_environment() -> Place:
        """Return what torchrun set, or the only process."""
        return Place(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def train_here(task: TrainingTask, observe: Observe, place: Place) -> TrainingOutcome:
    """Train in this process and write the model folder (the first process does); return what was done.

    Raises `ConfigError`, `DataError` or `ModelError` before anything heavy, `EngineError` in training.
    """
    objective = objective_of(task)
    check_context(Path(task.model), task.training.max_length, "training.max_length")
    tokenizer = load_tokenizer(task.model)
    data = read(task, tokenizer, objective)
    batches = plan(task, data)
    with cpu_threads(task.trainer.threads), _quiet():
        model = load_for_training(task)
        trainer = build(task, model, tokenizer, data, batches, objective, observe, place)
        outcome = _run(trainer, task, data, batches)
        _publish(trainer, tokenizer, task)
    del trainer, model
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return outcome


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
        buckets=config.length_buckets,
        last_batch=config.last_batch,
    )
    if not batches:
        problem = f"fill no batch of {config.batch_size}"
        raise DataError(describe("training rows", len(data.examples), problem, mend="Set last_batch=keep"))
    return batches


def build(
    task: TrainingTask,
    model: Any,
    tokenizer: Any,
    data: Examples,
    batches: list[list[int]],
    objective: Objective | None,
    observe: Observe,
    place: Place,
    deepspeed: dict[str, Any] | None = None,
) -> BatchTrainer:
    """Return the trainer of a task, ready to start."""
    args = _arguments(task, place, deepspeed)
    pooled = objective is None
    steps = Steps(
        data.examples,
        batches,
        budget=task.trainer.micro_batch_tokens,
        pad_id=tokenizer.pad_token_id,
        pooled=pooled,
        device=place.rank,
        devices=place.devices,
    )
    (forward.answer_by_reward if pooled else forward.answer_by_log_probability)(model)
    if task.trainer.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    meter = Meter(args.device, place.devices)
    prepare = forward.couple(objective, task.settings(), place.devices) if objective else None
    trainer = BatchTrainer(
        model,
        args,
        steps,
        _loss(task, objective),
        meter,
        autocast=task.trainer.dtype == "bfloat16" and deepspeed is None,
        prepare=prepare,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Reports(trainer, task, observe if place.rank == 0 else _ignore))
    return trainer


def _loss(task: TrainingTask, objective: Objective | None) -> forward.Loss:
    if objective is None:
        return forward.reward_loss
    make = forward.demonstration_loss if task.kind == "sft" else forward.preference_loss
    return make(objective, task.settings())


def _arguments(task: TrainingTask, place: Place, deepspeed: dict[str, Any] | None) -> TrainingArguments:
    config = task.training
    layout = {"processes": place.devices, "trainer": task.trainer.name, "lora": config.lora is not None}
    args = TrainingArguments(
        output_dir=str(checkpoint_folder(Path(task.scratch), layout)),
        per_device_train_batch_size=1,  # one item is a device's whole share of a batch
        num_train_epochs=1,  # and the list of items spans all epochs
        learning_rate=config.learning_rate,
        lr_scheduler_type=_SCHEDULES[config.schedule],
        warmup_steps=config.warmup_ratio,  # below 1 it is a ratio
        optim=_OPTIMIZERS[config.optimizer],
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        seed=task.seed,
        use_cpu=_on_cpu(task),
        deepspeed=deepspeed,
        save_strategy="no",  # `_Reports` says when
        save_total_limit=KEPT,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        log_level="error",
        log_level_replica="error",
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    if args.device.type == "cuda" and place.devices == 1:
        args._n_gpu = 1  # one device means one: the Trainer would spread over all it sees
    return args


def _on_cpu(task: TrainingTask) -> bool:
    if task.trainer.device == "cuda" and not torch.cuda.is_available():
        mend = "Set trainer.device=auto"
        raise EngineError(describe("trainer.device", "cuda", "this machine shows no GPU", mend=mend))
    return task.trainer.device == "cpu" or not torch.cuda.is_available()


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
    if trainer.is_world_process_zero():
        publish(trainer.model, tokenizer, Path(task.model), Path(task.output))


class _Reports(TrainerCallback):
    """Tells the observer how it goes, and asks for checkpoints at reports, so that a report is never cut in two."""

    def __init__(self, trainer: BatchTrainer, task: TrainingTask, observe: Observe) -> None:
        self.trainer, self.every, self.observe = trainer, task.trainer.report_steps, observe
        steps = trainer.steps
        self.clock = Clock(task.trainer.checkpoint_minutes, steps.devices, trainer.args.device)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to measure time."""
        self.trainer.meter.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Report every so many steps, and at the last one."""
        step, total = state.global_step, state.max_steps
        if step % self.every and step != total:
            return control
        self.observe(step, total, self.trainer.meter.report())
        if step != total and self.clock.due():
            control.should_save = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole once every process has written its part."""
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()
        self.clock.taken()


def _rows(paths: list[str], row_type: type[Any]) -> list[Any]:
    return [row for path in paths for row in tables.read(Path(path), row_type)]


def _ignore(step: int, total: int, metrics: dict[str, float]) -> None:
    """Observe nothing."""


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
