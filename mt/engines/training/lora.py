"""Low-rank adapters: put beside the linear layers before training, merged into them before publishing."""

from __future__ import annotations

from typing import Any

import torch

from mt.engines.training.task import TrainingTask
from mt.errors import ConfigError, describe

ALL_LINEAR = "all-linear"


def adapt(model: Any, task: TrainingTask) -> None:
    """Freeze the model and put trainable adapters beside its linear layers, in place; a reward head stays trainable.

    The adapters start by the task's seed; at the start they change nothing.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = task.training.lora
    if config is None:
        return
    targets: Any = ALL_LINEAR if config.targets == [ALL_LINEAR] else config.targets
    adapters = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets, lora_dropout=0.0, bias="none")
    head = getattr(model, "score", None) if task.kind == "reward" else None
    if head is not None:
        adapters.exclude_modules = ["score"]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            inject_adapter_in_model(adapters, model)
    except ValueError as error:
        linear = sorted({n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
        problem = "the model has no such layers"
        value = ", ".join(config.targets)
        raise ConfigError(describe("lora.targets", value, problem, allowed=", ".join([ALL_LINEAR, *linear]))) from error
    if head is not None:
        head.requires_grad_(True)


def merge(model: Any) -> None:
    """Add every adapter to the weights beside it and remove it, in place."""
    adapted = [name for name, module in model.named_modules() if hasattr(module, "base_layer")]
    for name in adapted:
        layer = model.get_submodule(name)
        layer.merge()
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, layer.base_layer)
    model.requires_grad_(True)
