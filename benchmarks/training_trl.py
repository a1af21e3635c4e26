"""TRL's trainers on our rows, at their defaults but for the schedule: what our own training is measured against."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from mt.engines.text import open_chat
from mt.types import Pair


def trl_trainer(
    folder: Path, pairs: list[Pair], kind: str, options: argparse.Namespace, *, use_cpu: bool, **changes: Any
) -> Any:
    """Return TRL's trainer of that kind, its data prepared; `changes` replace its settings."""
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

    disable_progress_bars()
    at_once = options.trl_batch or options.batch_size
    settings: dict[str, Any] = {
        "output_dir": str(folder / "trl"),
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": options.batch_size // at_once,
        "max_length": options.max_length,
        "num_train_epochs": 1,
        "use_cpu": use_cpu,
        "bf16": options.dtype == "bfloat16",
        "gradient_checkpointing": options.gradient_checkpointing,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        **changes,
    }
    path = str(folder / "model")
    auto = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    model = auto.from_pretrained(path, dtype=torch.float32, **({"num_labels": 1} if kind == "reward" else {}))
    makers: dict[str, tuple[Any, Any]] = {
        "policy": (DPOTrainer, DPOConfig),
        "reward": (RewardTrainer, RewardConfig),
        "sft": (SFTTrainer, SFTConfig),
    }
    make, config = makers[kind]
    rows = Dataset.from_list([trl_row(pair, kind) for pair in pairs])
    return make(model, args=config(**settings), train_dataset=rows, processing_class=open_chat(path).tokenizer)


def same_schedule(peer: Any, factor: Callable[[int], float]) -> None:
    """Let TRL's trainer take its steps at our learning rates: its own schedule begins at 0."""
    peer.create_optimizer()
    peer.lr_scheduler = LambdaLR(peer.optimizer, factor)


def trl_row(pair: Pair, kind: str) -> dict[str, Any]:
    """Return a row as TRL wants it."""
    chosen, rejected = ([{"role": "assistant", "content": answer.text}] for answer in (pair.chosen, pair.rejected))
    if kind == "sft":
        return {"prompt": pair.messages, "completion": chosen}
    return {"prompt": pair.messages, "chosen": chosen, "rejected": rejected}
