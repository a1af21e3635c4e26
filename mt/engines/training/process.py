"""One training in this process, from its tables to the model folder: `inline` and every torchrun worker run it."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PrinterCallback, TrainingArguments
from transformers.utils import logging

from mt.engines.devices import cpu_threads
from mt.engines.models import check_context
from mt.engines.text import Chat, open_chat
from mt.engines.training import losses
from mt.engines.training.base import Trainer
from mt.engines.training.batches import OptimizerSteps, plan
from mt.engines.training.checkpoints import CHECKPOINTS, KEPT, MODELS, checkpoint_folder, newest
from mt.engines.training.data import Examples, FitAll, fit_locally, read
from mt.engines.training.models import adapt, load_for_training, publish, unchanged
from mt.engines.training.shares import fit_shared
from mt.engines.training.task import Observe, TrainingOutcome, TrainingTask, step_folder, step_folders
from mt.engines.training.trainer import BatchTrainer, PublishIntermediateModels, Reports, peak_memory_mib, rate_factor
from mt.engines.training.zero import read_checkpoints_as_data, zero_config
from mt.errors import EngineError, MutualTaughtError, describe
from mt.reward_losses import RewardLoss

OPTIMIZERS = {"adamw": "adamw_torch_fused", "rmsprop": "rmsprop"}
TOKENS = "tokens"
_NEARLY_FULL = 2**20


@dataclass(frozen=True)
class TrainingProcess:
    """A process among those that share the training, as torchrun numbers them."""

    rank: int
    world_size: int

    @staticmethod
    def from_environment() -> TrainingProcess:
        """Return what torchrun set, or the only process."""
        return TrainingProcess(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    def share(self, scratch: Path) -> FitAll:
        """Return how rows are tokenised: in this process, or each process its part."""
        if self.world_size == 1:
            return fit_locally
        return partial(fit_shared, folder=scratch / TOKENS, rank=self.rank, world_size=self.world_size)


def train_in_this_process(task: TrainingTask, observe: Observe, process: TrainingProcess) -> TrainingOutcome:
    """Train in this process and write the model folder (the first process does); return what was done.

    Raises `ConfigError`, `DataError` or `ModelError` before anything heavy, `EngineError` in training.
    """
    task.check()
    check_context(Path(task.model), task.training.max_length, "training.max_length")
    chat = open_chat(task.model, task.template)
    with cpu_threads(task.trainer.threads), quiet(), spared_collector(), full_disk_named(Path(task.scratch)):
        # The arguments come first: they open the process group, by which processes share the tokenising, and from
        # then on DeepSpeed's stage 3 spreads whatever is loaded.
        args = arguments(task, process)
        data = read(task, chat, process.share(Path(task.scratch)))
        batches = plan(task, data)
        model = load_for_training(task)
        adapt(model, task)
        trainer = build(task, args, model, chat, data, batches, observe, process)
        checkpoint = newest(Path(task.scratch) / CHECKPOINTS)
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except torch.OutOfMemoryError as error:
            fix = "Lower it, set trainer.gradient_checkpointing=true, or use trainer=torchrun with more GPUs"
            problem = "a micro-batch of so many tokens does not fit into memory"
            value = task.trainer.tokens_per_micro_batch(args.device.type)
            raise EngineError(describe("trainer.micro_batch_tokens", value, problem, fix=fix)) from error
        peak = peak_memory_mib(args.device)  # of the training: publishing loads the start once more
        folder = step_folder(Path(task.output), len(batches)) if task.every_steps else Path(task.output)
        update = publish(model, chat, task, folder, first=process.rank == 0)
        if process.rank == 0:
            for step, earlier in step_folders(Path(task.scratch) / MODELS).items():
                shutil.copytree(earlier, step_folder(Path(task.output), step))
    warning = unchanged(task, update, trainer.meter.largest_gradient_norm) if process.rank == 0 else None
    if warning and not task.trainer.allow_unchanged:
        raise EngineError(warning)
    used = len({row for batch in batches for row in batch})
    sequences = [sequence for batch in batches for row in batch for sequence in data.examples[row].sequences]
    outcome = TrainingOutcome(
        rows=data.rows,
        used=used,
        dropped=data.rows - used,
        truncated=data.truncated,
        tokens=sum(len(ids) for ids, _ in sequences),
        trained_tokens=sum(count for _, count in sequences),
        steps=len(batches),
        seconds=round(trainer.meter.seconds, 3),
        tokens_per_second=round(trainer.meter.tokens_per_second, 1),
        peak_memory_mib=round(peak, 1),
        devices=process.world_size,
        update_kept=update.share_kept,
        warning=warning,
        last=trainer.meter.last,
    )
    if torch.cuda.is_available():
        del trainer, model
        gc.collect()
        torch.cuda.empty_cache()
    return outcome


def arguments(task: TrainingTask, process: TrainingProcess) -> TrainingArguments:
    """Return the Trainer's arguments; opens the process group where processes share the training.

    Raises `EngineError` where fewer processes found each other than were started, or where there is no GPU to use.
    """
    config, zero = task.training, zero_config(task)
    if zero:
        read_checkpoints_as_data()
    on_cpu = trains_on_cpu(task.trainer)
    layout = {
        "processes": process.world_size,
        "zero_stage": task.trainer.sharding,
        "lora": config.lora is not None,
    }
    args = TrainingArguments(
        output_dir=str(checkpoint_folder(Path(task.scratch), layout)),
        per_device_train_batch_size=1,  # one item is a device's whole share of a batch
        num_train_epochs=1,  # and the list of items spans all epochs
        learning_rate=config.learning_rate,  # its schedule is the trainer's own: see `rate_factor`
        optim=OPTIMIZERS[config.optimizer],
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        seed=task.seed,
        use_cpu=on_cpu,
        deepspeed=zero,
        bf16=zero is not None and task.trainer.dtype == "bfloat16",  # DeepSpeed's own; without it we autocast
        ddp_backend="gloo" if process.world_size > 1 and on_cpu else None,
        ddp_timeout=round(task.trainer.collective_timeout_minutes * 60),
        save_strategy="no",  # `Reports` says when
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
    if args.device.type == "cuda" and process.world_size == 1:
        args._n_gpu = 1  # one device means one: the Trainer would spread over all it sees
    if args.world_size != process.world_size:
        problem = f"only {args.world_size} of {process.world_size} work together"
        raise EngineError(describe("trainer.processes", process.world_size, problem))
    return args


def trains_on_cpu(trainer: Trainer) -> bool:
    """Return whether a training computes on the CPU; raises `EngineError` where it needs a GPU and there is none."""
    has_gpu = torch.cuda.is_available()
    if trainer.device == "cuda" and not has_gpu:
        fix = "Set trainer.device=auto"
        raise EngineError(describe("trainer.device", "cuda", "this machine shows no GPU", fix=fix))
    return trainer.device == "cpu" or not has_gpu


def build(
    task: TrainingTask,
    args: TrainingArguments,
    model: Any,
    chat: Chat,
    data: Examples,
    batches: list[list[int]],
    observe: Observe,
    process: TrainingProcess,
) -> BatchTrainer:
    """Return the trainer of a task, ready to start."""
    pooled = isinstance(task.objective, RewardLoss)
    steps = OptimizerSteps(
        data.examples,
        batches,
        budget=task.trainer.tokens_per_micro_batch(args.device.type),
        pad_id=chat.pad_id,
        pooled=pooled,
        rank=process.rank,
        world_size=process.world_size,
    )
    (losses.answer_by_reward if pooled else losses.answer_by_log_probability)(model)
    if task.trainer.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trainer = BatchTrainer(
        model,
        args,
        steps,
        losses.loss_of(task.objective),
        rate_factor(task.training, len(steps)),
        autocast=task.trainer.dtype == "bfloat16" and not args.deepspeed,
        prepare=losses.couple(task.objective, process.world_size),
    )
    trainer.remove_callback(PrinterCallback)
    if task.every_steps:
        trainer.add_callback(PublishIntermediateModels(model, chat, task))
    trainer.add_callback(Reports(trainer, task, observe))
    return trainer


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Raise the error of a full disk where safetensors and torch raise their own."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if isinstance(error, MutualTaughtError) or shutil.disk_usage(folder).free > _NEARLY_FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


@contextmanager
def spared_collector() -> Iterator[None]:
    """Exclude existing objects from garbage collection: accelerate triggers one, which takes half a second."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars and its warnings about new reward heads inside the block."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
