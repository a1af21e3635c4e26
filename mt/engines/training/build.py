"""A task's trainer, put together: arguments, steps, loss, reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainingArguments

from mt.config.training import TorchrunTrainer
from mt.engines.training import forward
from mt.engines.training.checkpoints import KEPT, checkpoint_folder
from mt.engines.training.examples import Examples
from mt.engines.training.meter import Meter
from mt.engines.training.reports import Reports, ignore
from mt.engines.training.task import Observe, TrainingTask
from mt.engines.training.trainer import BatchTrainer, Steps
from mt.engines.training.zero import read_checkpoints_as_data, zero_config
from mt.errors import EngineError, describe
from mt.objectives.registry import Objective

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


def build(
    task: TrainingTask,
    args: TrainingArguments,
    model: Any,
    tokenizer: Any,
    data: Examples,
    batches: list[list[int]],
    objective: Objective | None,
    observe: Observe,
    place: Place,
) -> BatchTrainer:
    """Return the trainer of a task, ready to start."""
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
        autocast=task.trainer.dtype == "bfloat16" and not args.deepspeed,
        prepare=prepare,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reports(trainer, task, observe if place.rank == 0 else ignore))
    return trainer


def _loss(task: TrainingTask, objective: Objective | None) -> forward.Loss:
    if objective is None:
        return forward.reward_loss
    make = forward.demonstration_loss if task.kind == "sft" else forward.preference_loss
    return make(objective, task.settings())


def arguments(task: TrainingTask, place: Place) -> TrainingArguments:
    """Return the Trainer's arguments; opens the process group where processes share the training.

    They come before the model: from then on DeepSpeed's stage 3 spreads whatever is loaded.
    Raises `EngineError` where fewer processes found each other than were started.
    """
    config, zero = task.training, zero_config(task)
    if zero:
        read_checkpoints_as_data()
    args = TrainingArguments(
        output_dir=str(checkpoint_folder(Path(task.scratch), _layout(task, place))),
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
        deepspeed=zero,
        bf16=zero is not None and task.trainer.dtype == "bfloat16",  # DeepSpeed's own; without it we autocast
        ddp_backend="gloo" if place.devices > 1 and _on_cpu(task) else None,
        ddp_timeout=_timeout_s(task),
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
    if args.device.type == "cuda" and place.devices == 1:
        args._n_gpu = 1  # one device means one: the Trainer would spread over all it sees
    if args.world_size != place.devices:
        problem = f"only {args.world_size} of {place.devices} work together"
        raise EngineError(describe("trainer.processes", place.devices, problem))
    return args


def _timeout_s(task: TrainingTask) -> int:
    minutes = task.trainer.timeout_minutes if isinstance(task.trainer, TorchrunTrainer) else 30
    return round(minutes * 60)


def _layout(task: TrainingTask, place: Place) -> dict[str, Any]:
    stage = task.trainer.zero_stage if isinstance(task.trainer, TorchrunTrainer) else 0
    return {"processes": place.devices, "zero_stage": stage, "lora": task.training.lora is not None}


def _on_cpu(task: TrainingTask) -> bool:
    if task.trainer.device == "cuda" and not torch.cuda.is_available():
        mend = "Set trainer.device=auto"
        raise EngineError(describe("trainer.device", "cuda", "this machine shows no GPU", mend=mend))
    return task.trainer.device == "cpu" or not torch.cuda.is_available()
