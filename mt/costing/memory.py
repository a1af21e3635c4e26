"""Peak memory per device of training and inference, and the settings that would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mt.config.hardware import HardwareConfig
from mt.costing.shapes import Shape
from mt.engines.training import Trainer
from mt.engines.training.settings import TrainingConfig

GIB = 2.0**30
_USABLE = 0.95  # of a device: the rest is lost to fragmentation
_LOGIT_CHUNK = 1024  # response positions whose logits exist at once (mt/engines/logprobs.py)
_LOGIT_COPIES = 4  # of them in fp32: logits, softmax, their gradients (measured in the tests of that module)
_GATHERED = 1e9  # weights that ZeRO-3 holds together at most: DeepSpeed's stage3_max_live_parameters
_LORA_SHARE = 0.01  # of the weights that adapters train, about
_PROCESS_GIB = 4.0  # of the host for Python, torch, CUDA and the tables (our choice)
_NOTHING = "no setting makes it fit: take larger devices, or a smaller model"

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak per device in GiB, whether it fits, and which settings would make it fit."""

    gib: float
    fits: bool
    advice: str = ""


def training(shape: Shape, training: TrainingConfig, trainer: Trainer, hardware: HardwareConfig) -> Memory:
    """Estimate a training; what would make it fit is tried, one setting at a time, then several."""
    limit = _USABLE * hardware.memory_gib
    longest = 2 * training.max_length  # tokens of one pair: a micro-batch cannot be smaller
    changes: list[Change] = [{"gradient_checkpointing": True}, {"micro_batch_tokens": longest}]
    if trainer.name == "torchrun" or hardware.devices > 1:
        # LoRA's adapters cannot be merged into weights that are spread
        sharded: Change = {"zero_stage": 2 if training.lora else 3, "gradient_checkpointing": True}
        choice = {} if trainer.name == "torchrun" else {"name": "torchrun", "dtype": "bfloat16"}
        changes += [{**choice, **sharded}, {**choice, **sharded, "offload_optimizer": True}]
    if trainer.dtype == "float32":
        changes.append({"dtype": "bfloat16"})

    def gib(settings: Change) -> float:
        return _training_bytes(shape, training, settings, hardware.devices) / GIB + hardware.overhead_gib

    return _verdict(gib, trainer.model_dump(), changes, limit, "trainer")


def _training_bytes(shape: Shape, training: TrainingConfig, trainer: Change, devices: int) -> float:
    """Return weights, gradients, optimizer and activations of one device.

    DeepSpeed in bf16: 2 bytes of weight and 2 of gradient, 12 of fp32 master weight and moments (ZeRO paper,
    §3.1), each sharded from its stage on; in stage 3 the weights of the layers at work are gathered. Otherwise fp32
    weights, gradients and moments: 16 bytes.
    """
    zero = trainer.get("zero_stage", 0)
    devices = (trainer.get("processes") or devices) if trainer["name"] == "torchrun" else 1
    trained = shape.parameters * (_LORA_SHARE if training.lora else 1)
    moments = 1 if training.optimizer == "rmsprop" else 2
    lean = trainer["dtype"] == "bfloat16" and zero > 0
    weight, state = (2, 4 + 4 * moments) if lean else (4, 4 * moments)
    state = 0 if trainer.get("offload_optimizer") else state
    parts = (shape.parameters * weight, 3), (trained * weight, 2), (trained * state, 1)
    kept = sum(size / (devices if zero >= stage else 1) for size, stage in parts)
    gathered = weight * min(shape.parameters, _GATHERED) if zero == 3 else 0
    return kept + gathered + _activations(shape, trainer)


def _activations(shape: Shape, trainer: Change) -> float:
    """One checkpoint per layer and one layer in full, or every layer in full; and a chunk of logits."""
    tokens = trainer["micro_batch_tokens"]
    layer = tokens * (34 * shape.hidden + 6 * shape.feed_forward)  # Korthikanti et al. 2022, §4, with gated MLPs
    checkpointed = shape.layers * tokens * shape.hidden * 2 + layer
    return (checkpointed if trainer["gradient_checkpointing"] else shape.layers * layer) + _logits(shape, tokens)


def host_gib(shape: Shape, engine: Any, hardware: HardwareConfig) -> float:
    """Estimate the host memory (GiB) that all processes of an engine or a trainer take on their node.

    Each process reads the weights through it, one gathers them again to write a checkpoint, and an optimizer that is
    offloaded keeps fp32 weights, gradients and two moments there (16 bytes a weight).
    """
    processes, name = 1, getattr(engine, "name", None)  # reference log-probabilities have no choice, and no name
    if name not in ("transformers", "inline"):
        processes = getattr(engine, "processes", None) or hardware.devices // getattr(engine, "tensor_parallel", 1)
    weights = shape.parameters * (4 if engine.dtype == "float32" else 2)
    gathered = weights if name in ("torchrun", "inline") else 0
    offloaded = 16 * shape.parameters if getattr(engine, "offload_optimizer", False) else 0
    return processes * (_PROCESS_GIB + weights / GIB) + (gathered + offloaded) / GIB


def inference(
    shape: Shape, engine: Any, field: str, sequence: int, hardware: HardwareConfig, *, caches: bool
) -> Memory:
    """Estimate sampling (with a key-value cache) or scoring; `sequence` tokens at least have to fit at once.

    vLLM fills what it is given: counted is what it cannot do without. Batches of transformers are halved where
    memory runs out: counted is the full batch.
    """
    spread = getattr(engine, "tensor_parallel", None)
    if spread is None:
        limit, changes = _USABLE * hardware.memory_gib, _smaller_batches(engine.batch_tokens, sequence)
    else:
        limit = engine.gpu_memory * hardware.memory_gib
        changes = [{"tensor_parallel": 2**power} for power in range(1, 8) if spread < 2**power <= hardware.devices]
    if engine.dtype == "float32":
        changes.append({"dtype": "bfloat16"})

    def gib(settings: Change) -> float:
        width = 4 if settings["dtype"] == "float32" else 2
        tokens = settings.get("batch_tokens", sequence)
        token = shape.cache_values if caches else 4 * shape.hidden + 3 * shape.feed_forward
        held = (shape.parameters + tokens * token) * width + (0 if caches else _logits(shape, tokens))
        return held / settings.get("tensor_parallel", 1) / GIB + hardware.overhead_gib

    return _verdict(gib, engine.model_dump(), changes, limit, field)


def _smaller_batches(tokens: int, least: int) -> list[Change]:
    sizes = [max(tokens >> power, least) for power in range(1, 12)]
    return [{"batch_tokens": size} for size in dict.fromkeys(sizes) if size < tokens]


def _logits(shape: Shape, tokens: int) -> float:
    return 0 if shape.rewards else 4.0 * _LOGIT_COPIES * shape.vocabulary * min(tokens, _LOGIT_CHUNK)


def _verdict(
    gib: Callable[[Change], float], settings: Change, changes: Sequence[Change], limit: float, field: str
) -> Memory:
    """Compare with the limit; the advice is the first change, or the shortest list of changes, that fits."""
    now = gib(settings)
    if now <= limit:
        return Memory(now, True)
    several = [_joined(changes[:count]) for count in range(2, len(changes) + 1)]
    for change in (*changes, *several):
        if (then := gib({**settings, **change})) <= limit:
            return Memory(now, False, f"{_told(field, settings, change)} would take {then:.1f} GiB")
    return Memory(now, False, _NOTHING)


def _joined(changes: Sequence[Change]) -> Change:
    return {name: value for change in changes for name, value in change.items()}


def _told(field: str, settings: Change, change: Change) -> str:
    """Return what to type: only what differs, the choice itself first."""
    new = {name: value for name, value in change.items() if settings.get(name) != value}
    choice = [f"{field}={new.pop('name')}"] if "name" in new else []
    return " ".join(
        [*choice, *(f"{field}.{name}={str(value).lower() if value is True else value}" for name, value in new.items())]
    )
