"""Models to train: loaded with float32 master weights, adapted where asked, compared with their start, published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from mt.engines.contexts import read_json
from mt.engines.heads import REWARD_HEAD
from mt.engines.inspection import check_outputs
from mt.engines.models import check_model, load_weights
from mt.engines.text import Chat
from mt.engines.training.settings import ALL_LINEAR, check_targets
from mt.engines.training.task import TrainingTask
from mt.engines.training.zero import gathered, master, masters_apart
from mt.errors import ModelError, describe


def load_for_training(task: TrainingTask) -> Any:
    """Load the task's model on the CPU, dropout off; a causal model gets a new reward head by the task's seed.

    Weights are float32, but bfloat16 where DeepSpeed keeps float32 master weights itself.
    Raises `ModelError` for a folder that cannot serve, and where what is computed from the last hidden states would
    not be the model's own output.
    """
    model = _load(task, torch.bfloat16 if masters_apart(task) else torch.float32)
    if not any(hasattr(parameter, "ds_id") for parameter in model.parameters()):  # ZeRO-3 holds parts of weights
        check_outputs(model, "reward" if task.kind == "reward" else "policy", Path(task.model))
    return model


def load_start(task: TrainingTask) -> Any:
    """Load the model that the task starts from once more: whole and in float32, whatever DeepSpeed spreads."""
    from transformers.integrations import deepspeed as integration

    spreading = integration._hf_deepspeed_config_weak_ref
    integration.unset_hf_deepspeed_config()
    try:
        return _load(task, torch.float32)
    finally:
        integration._hf_deepspeed_config_weak_ref = spreading


def start_is_rounded(task: TrainingTask) -> bool:
    """Return whether `load_for_training` rounds the weights that the folder holds."""
    config = read_json(Path(task.model) / "config.json")
    return masters_apart(task) and config.get("dtype", config.get("torch_dtype")) != "bfloat16"  # until transformers 5


def _load(task: TrainingTask, dtype: torch.dtype) -> Any:
    folder, reward = Path(task.model), task.kind == "reward"
    names = read_json(folder / "config.json").get("architectures") or []
    fresh_head = reward and not any(name.endswith("ForSequenceClassification") for name in names)
    # Without its chat template, which a setting may name: the tokenising that comes before has looked for it.
    check_model(folder, "reward" if reward and not fresh_head else "policy", has_template=False)
    model = load_weights(folder, "reward" if reward else "policy", dtype, new_head=fresh_head)
    if fresh_head:
        _start_head(model, task.seed)
    switch_off_dropout(model)
    return model


def _start_head(model: Any, seed: int) -> None:
    """Draw a new reward head with its own generator, so that it depends on the seed alone."""
    head = getattr(model, REWARD_HEAD, None)
    if head is None:
        problem = f"its classifier has no '{REWARD_HEAD}' layer to read a reward from"
        raise ModelError(describe("architecture", type(model).__name__, problem, fix="Use a decoder model"))
    generator = torch.Generator().manual_seed(seed)
    deviation = model.config.get_text_config().initializer_range
    with gathered(head.weight):
        head.weight.data.copy_(torch.normal(0.0, deviation, head.weight.shape, generator=generator))


def switch_off_dropout(model: Any) -> None:
    """Make training compute what evaluation computes: no dropout, no noise; the configuration does not change.

    Preference losses compare log-probabilities with a reference that was computed without either. Probabilities
    become 0 wherever a module keeps them. Routers of experts add noise of their own (Phi-3.5-MoE draws its experts),
    so that modules stay in evaluation mode, but for those that recompute activations in training mode only.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
    model.train = MethodType(_train_without_noise, model)


def _train_without_noise(model: Any, mode: bool = True) -> Any:
    """Set training mode, as `torch.nn.Module.train` does, but only where activations are recomputed."""
    from transformers import PreTrainedModel
    from transformers.modeling_layers import GradientCheckpointingLayer

    type(model).train(model, mode)
    for module in model.modules():
        if not isinstance(module, PreTrainedModel | GradientCheckpointingLayer):
            module.training = False
    return model


def adapt(model: Any, task: TrainingTask) -> None:
    """Freeze the model and put trainable adapters beside its linear layers, in place; a reward head stays trainable.

    Where the trainer computes in bfloat16, what is frozen is held in bfloat16 as well, half of float32's memory; what
    is trained stays in float32 (DeepSpeed keeps float32 master weights itself). The adapters start by the task's
    seed; at the start they change nothing.
    Raises `ConfigError` where the model has no such layers, or where another layer shares their weights.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = task.training.lora
    if config is None:
        return
    targets: Any = ALL_LINEAR if config.targets == [ALL_LINEAR] else config.targets
    adapters = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets, lora_dropout=0.0, bias="none")
    head = getattr(model, REWARD_HEAD, None) if task.kind == "reward" else None
    if head is not None:
        adapters.exclude_modules = [REWARD_HEAD]
    check_targets(model, config.targets)
    own = [] if head is None else list(head.parameters())
    if task.trainer.dtype == "bfloat16" and not masters_apart(task):
        for parameter in model.parameters():
            if not any(parameter is one for one in own):
                parameter.data = parameter.data.to(torch.bfloat16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        inject_adapter_in_model(adapters, model)
    if head is not None:
        head.requires_grad_(True)
    if not masters_apart(task):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()


def trained_weights(model: Any, start: Mapping[str, Tensor], *, first: bool) -> Iterator[tuple[str, Tensor]]:
    """Yield every weight of the plain model in float32 on the CPU, what its adapter has learnt added.

    The model itself stays as it is, and its training may go on. `start` holds the weights at the start by name: a
    frozen one is taken from there, in whatever precision it was held since. Every process has to iterate where
    DeepSpeed spreads the master weights; only the `first` one is given weights that are not trained.
    """
    for name, parameter in model.named_parameters():
        plain, learnt = name.replace(".base_layer.", "."), None
        if plain != name and name.endswith(".weight"):
            learnt = _learnt(model.get_submodule(name.removesuffix(".base_layer.weight")))
        if ".lora_" in name or not (first or parameter.requires_grad):
            continue
        whole = master(parameter).cpu() if parameter.requires_grad else start[plain]
        yield plain, whole if learnt is None else whole + learnt


def _learnt(layer: Any) -> Tensor:
    """Return what a layer's adapter adds to its weight, computed in float32 on the CPU."""
    adapters = [adapter for part, adapter in layer.named_parameters() if part.startswith("lora_")]
    held = [adapter.data for adapter in adapters]
    for adapter in adapters:
        adapter.data = master(adapter).cpu()
    learnt: Tensor = layer.get_delta_weight("default")
    for adapter, data in zip(adapters, held, strict=True):
        adapter.data = data
    return learnt


@dataclass(frozen=True)
class Update:
    """How many weights a training changed, and how many of these changes its published folder still holds."""

    changed: int
    """Elements whose float32 master weight differs from the start's."""
    kept: int
    """Of those, the elements whose published value differs from the start's in the published precision."""

    @property
    def share_kept(self) -> float:
        """Share of the changed elements that the folder holds: 1 in float32, 0 where nothing changed."""
        return self.kept / self.changed if self.changed else 0.0


@torch.no_grad()
def publish(model: Any, chat: Chat, task: TrainingTask, folder: Path, *, first: bool) -> Update:
    """Write an ordinary model folder in `trainer.publish_dtype`: safetensors, configuration, tokenizer, template.

    What is written is the start with the trained weights in place of its own, so that a training may go on. Every
    process takes part where DeepSpeed spreads the master weights, parameter by parameter; the `first` one compares
    them with the start, and writes. The others return an empty update.
    """
    dtype: torch.dtype = getattr(torch, task.trainer.publish_dtype)
    plain = load_start(task) if first else None
    start = dict(plain.named_parameters()) if plain is not None else {}
    changed, kept = 0, 0
    for name, trained in trained_weights(model, start, first=first):
        if first:
            begun, published = start[name].detach(), trained.to(dtype)
            changed += int((trained != begun).sum())
            kept += int(((trained != begun) & (published != begun.to(dtype))).sum())
            start[name].data = published
    if plain is not None:
        plain.config.use_cache = True  # generation wants it
        plain.config.pad_token_id = chat.pad_id
        plain.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
    return Update(changed, kept)


def unchanged(task: TrainingTask, update: Update, largest_gradient_norm: float) -> str | None:
    """Return why the published model equals its start and what to do, or None where it does not."""
    if update.kept:
        return None
    rate, dtype = task.training.learning_rate, task.trainer.publish_dtype
    otherwise = "or set trainer.allow_unchanged=true to publish the model as it was"
    if update.changed:
        problem = f"holds none of the {update.changed} changed weights: the published model equals its start"
        fix = f"Set trainer.publish_dtype=float32, raise the learning rate of {rate:g}, {otherwise}"
        return describe("trainer.publish_dtype", dtype, problem, fix=fix)
    if largest_gradient_norm == 0:
        problem = "was 0 at every step, so that the model is unchanged"
        return describe("gradient norm", 0, problem, fix=f"Look at the rows' weights and the objective, {otherwise}")
    problem = "is too small to change any weight in float32, so that the model is unchanged"
    return describe("training.learning_rate", rate, problem, fix=f"Raise it, {otherwise}")
