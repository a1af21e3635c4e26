"""Peak memory per device and per node of training and inference, and the settings that would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mt.config.hardware import HardwareConfig
from mt.engines.training import Trainer
from mt.engines.training.settings import LoraConfig, TrainingConfig
from mt.workflow.volume import Shape

GIB = 2.0**30
_USABLE = 0.95  # of a device: the rest is lost to fragmentation
_COMFORTABLE = 0.85  # of a device: what may be chosen for speed, an estimate being off by a tenth (our choice)
_LARGEST_MICRO_BATCH = 32768  # tokens: matrices of this size keep any device busy (our choice)
_LOGIT_CHUNK = 1024  # response positions whose logits exist at once (mt/engines/logprobs.py)
_LOGIT_COPIES = 4  # of them in fp32: logits, softmax, their gradients (measured in the tests of that module)
_GATHERED = 1e9  # weights that ZeRO-3 holds together at most: DeepSpeed's stage3_max_live_parameters
_PROCESS_GIB = 4.0  # of the host for Python, torch, CUDA and the tables (our choice)
_ADAPTERS = LoraConfig(rank=16, alpha=32, targets=["all-linear"])  # proposed where nothing else fits (our choice)
_NOTHING = "no setting makes it fit: take larger devices, or a smaller model"

Change = Mapping[str, Any]
"""Settings of a trainer or an engine, and `lora` of a training."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak per device and per node in GiB, whether both fit, and which settings would make them fit."""

    gib: float
    host_gib: float
    fits: bool
    advice: str = ""


Needs = Callable[[Change], tuple[float, float]]
"""From settings to the GiB of a device and of the node."""


def training(shape: Shape, training: TrainingConfig, trainer: Trainer, field: str, hardware: HardwareConfig) -> Memory:
    """Estimate a training; what would make it fit is tried, one setting at a time, then several.

    `field` is where the training's settings stand, such as "policy.training".
    """
    longest = _longest(training)
    changes: list[Change] = [{"gradient_checkpointing": True}, {"micro_batch_tokens": longest}]
    # LoRA's adapters cannot be merged into weights that are spread
    sharded: Change = {"zero_stage": 2 if training.lora else 3, "gradient_checkpointing": True}
    choice = {} if trainer.spreads else {"name": "torchrun", "dtype": "bfloat16"}
    changes += [{**choice, **sharded}, {**choice, **sharded, "offload_optimizer": True}]
    if trainer.dtype == "float32":
        changes.append({"dtype": "bfloat16"})
    adapted: Change = {
        "lora": _ADAPTERS, "dtype": "bfloat16", "gradient_checkpointing": True, "micro_batch_tokens": longest,
        **({"zero_stage": 2} if trainer.spreads else {}),
    }  # fmt: skip
    tokens = trainer.tokens_per_micro_batch(_device_type(trainer, hardware))
    now = {**trainer.model_dump(), "micro_batch_tokens": tokens, "lora": training.lora}

    def needs(settings: Change) -> tuple[float, float]:
        return _training_gib(shape, training, settings, hardware), _training_host_gib(shape, settings, hardware)

    last = [] if training.lora else [adapted]
    return _verdict(needs, now, changes, last, _USABLE * hardware.memory_gib, hardware, "trainer", field)


def fastest(shape: Shape, training: TrainingConfig, trainer: Trainer, hardware: HardwareConfig) -> Change:
    """Return how a training is fastest within a comfortable share of the device's memory.

    Recomputing activations costs a forward pass: it is left out where the activations of one longest pair fit. Then
    the micro-batch is the largest that fits.
    """
    longest, step = _longest(training), training.max_length
    sizes = [longest, *range(longest + step, max(longest, _LARGEST_MICRO_BATCH) + 1, step)]
    found: Change = {"gradient_checkpointing": True, "micro_batch_tokens": longest}
    for checkpointing in (True, False):
        for tokens in sizes:
            change = {"gradient_checkpointing": checkpointing, "micro_batch_tokens": tokens}
            settings = {**trainer.model_dump(), "lora": training.lora, **change}
            if _training_gib(shape, training, settings, hardware) <= _COMFORTABLE * hardware.memory_gib:
                found = change
    return found


def passes(training: TrainingConfig, trainer: Trainer) -> int:
    """Return how much a training computes, in forward passes over its tokens.

    The forward pass, one again where activations are recomputed, the gradients of the activations, and those of the
    weights, which nobody needs of a frozen base.
    """
    return 2 + (training.lora is None) + trainer.gradient_checkpointing


def checkpoint_bytes(shape: Shape, training: TrainingConfig, trainer: Trainer) -> float:
    """Return what one checkpoint holds: the model's weights, moments, and DeepSpeed's fp32 master weights."""
    lean = trainer.dtype == "bfloat16" and (trainer.sharding > 0)
    half = lean or (training.lora is not None and trainer.dtype == "bfloat16")
    trained = shape.adapter_parameters(training.lora.rank) if training.lora else shape.parameters
    moments = 1 if training.optimizer == "rmsprop" else 2
    return shape.parameters * (2 if half else 4) + trained * (4 * moments + (4 if lean else 0))


def _longest(training: TrainingConfig) -> int:
    return 2 * training.max_length  # tokens of one pair: a micro-batch cannot be smaller


def _training_gib(shape: Shape, training: TrainingConfig, trainer: Change, hardware: HardwareConfig) -> float:
    kept = _kept(shape, training, trainer, hardware)
    return (kept + _activations(shape, trainer)) / GIB + hardware.overhead_gib


def _kept(shape: Shape, training: TrainingConfig, trainer: Change, hardware: HardwareConfig) -> float:
    """Return the bytes of one device for weights, gradients and the optimizer.

    DeepSpeed in bf16: 2 bytes of weight, 4 of gradient (summed in fp32) and 12 of fp32 master weight and moments (ZeRO
    paper, §3.1), each sharded from its stage on; in stage 3 the weights of the layers at work are gathered. Otherwise
    fp32 weights, gradients and moments, 16 bytes, and in bf16 the copies that autocast makes of the weights; beside
    adapters the base is frozen, in the trainer's precision.
    """
    zero, lora = trainer.get("zero_stage", 0), trainer["lora"]
    devices = (trainer.get("processes") or hardware.devices) if "zero_stage" in trainer else 1
    moments = 1 if training.optimizer == "rmsprop" else 2
    half = trainer["dtype"] == "bfloat16"
    trained = shape.adapter_parameters(lora.rank) if lora else shape.parameters
    state = trained * (4 * moments + (4 if half and zero else 0))
    if lora:
        weights = shape.parameters * (2 if half else 4) + trained * 4
    else:
        weights = shape.parameters * (2 if half and zero else 6 if half else 4)
    gathered = min(shape.parameters, _GATHERED) * (2 if half else 4) if zero == 3 else 0
    return (
        weights / (devices if zero >= 3 else 1) + gathered
        + trained * 4 / (devices if zero >= 2 else 1)
        + (0 if trainer.get("offload_optimizer") else state / (devices if zero >= 1 else 1))
    )  # fmt: skip


def _activations(shape: Shape, trainer: Change) -> float:
    """One checkpoint per layer and one layer in full, or every layer in full; and a chunk of logits."""
    tokens = trainer["micro_batch_tokens"]
    layer = tokens * (34 * shape.hidden + 6 * shape.feed_forward)  # Korthikanti et al. 2022, §4, with gated MLPs
    if trainer["lora"]:
        layer += tokens * (12 * shape.hidden + 2 * shape.feed_forward)  # each adapter's own copy of its input
    checkpointed = shape.layers * tokens * shape.hidden * 2 + layer
    return (checkpointed if trainer["gradient_checkpointing"] else shape.layers * layer) + _logits(shape, tokens)


def _training_host_gib(shape: Shape, trainer: Change, hardware: HardwareConfig) -> float:
    """Return the host memory of all processes of a training, at its start or at its end.

    Each process reads the weights through it (DeepSpeed's in bf16, others in fp32); to publish, one holds the start
    in fp32, which the trained weights replace one by one. An optimizer that is offloaded keeps fp32 weights,
    gradients and two moments there, 16 bytes a weight.
    """
    processes = (trainer.get("processes") or hardware.devices) if "zero_stage" in trainer else 1
    width = 2 if trainer["dtype"] == "bfloat16" and trainer.get("zero_stage", 0) else 4
    reading = processes * (_PROCESS_GIB + width * shape.parameters / GIB)
    publishing = processes * _PROCESS_GIB + 4 * shape.parameters / GIB
    trained = shape.adapter_parameters(trainer["lora"].rank) if trainer["lora"] else shape.parameters
    offloaded = 16 * trained / GIB if trainer.get("offload_optimizer") else 0
    return max(reading, publishing + offloaded)


def inference(
    shape: Shape, engine: Any, field: str, sequence: int, hardware: HardwareConfig, *, caches: bool
) -> Memory:
    """Estimate sampling (with a key-value cache) or scoring; `sequence` tokens at least have to fit at once.

    vLLM fills what it is given: counted is what it cannot do without. Batches of transformers are halved where
    memory runs out: counted is the full batch. Of the host each process takes what it reads the weights through.
    """
    spread = getattr(engine, "tensor_parallel", None)
    now = engine.model_dump()
    if spread is None:
        now["batch_tokens"] = engine.tokens_per_batch(_device_type(engine, hardware))
        smaller = dict.fromkeys(max(now["batch_tokens"] >> power, sequence) for power in range(1, 12))
        changes: list[Change] = [{"batch_tokens": size} for size in smaller if size < now["batch_tokens"]]
        limit = _USABLE * hardware.memory_gib
    else:
        limit = engine.gpu_memory * hardware.memory_gib
        changes = [{"tensor_parallel": 2**power} for power in range(1, 8) if spread < 2**power <= hardware.devices]
    if engine.dtype == "float32":
        changes.append({"dtype": "bfloat16"})

    def weights(settings: Change) -> float:
        return shape.parameters * (4 if settings["dtype"] == "float32" else 2) / GIB

    def needs(settings: Change) -> tuple[float, float]:
        tokens, size = settings.get("batch_tokens", sequence), settings.get("tensor_parallel", 1)
        token = shape.cache_values if caches else 4 * shape.hidden + 3 * shape.feed_forward
        width = 4 if settings["dtype"] == "float32" else 2
        held = tokens * token * width + (0 if caches else _logits(shape, tokens))
        processes = 1 if not engine.spreads else settings.get("processes") or max(1, hardware.devices // size)
        host = processes * (_PROCESS_GIB + weights(settings))
        return (weights(settings) + held / GIB) / size + hardware.overhead_gib, host

    return _verdict(needs, now, changes, [], limit, hardware, field, "")


def _device_type(engine: Any, hardware: HardwareConfig) -> str:
    return "cuda" if hardware.gpu and engine.device != "cpu" else "cpu"


def _logits(shape: Shape, tokens: int) -> float:
    return 0 if shape.rewards else 4.0 * _LOGIT_COPIES * shape.vocabulary * min(tokens, _LOGIT_CHUNK)


def _verdict(
    needs: Needs, settings: Change, changes: Sequence[Change], last: Sequence[Change],
    limit: float, hardware: HardwareConfig, field: str, training_field: str,
) -> Memory:  # fmt: skip
    """Compare with what there is; the advice is the first change that fits, the shortest list of them, or the last."""
    now, host = needs(settings)
    if now <= limit and host <= hardware.host_gib:
        return Memory(now, host, True)
    several = [
        {name: value for change in changes[:count] for name, value in change.items()}
        for count in range(2, len(changes) + 1)
    ]
    for change in (*changes, *several, *last):
        then, then_host = needs({**settings, **change})
        if then <= limit and then_host <= hardware.host_gib:
            remedy = f"{_named(field, training_field, settings, change)} would take {then:.1f} GiB"
            return Memory(now, host, False, remedy)
    more = f" with {hardware.host_gib:g} GiB of the node's own memory" if host > hardware.host_gib else ""
    return Memory(now, host, False, f"{_NOTHING}{more}")


def _named(field: str, training_field: str, settings: Change, change: Change) -> str:
    """Return what to type: only what differs, the choice itself first."""
    new = {name: value for name, value in change.items() if settings.get(name) != value}
    words = [f"{field}={new.pop('name')}"] if "name" in new else []
    if lora := new.pop("lora", None):
        words.append(
            f"{training_field}.lora={{rank:{lora.rank},alpha:{lora.alpha},targets:[{','.join(lora.targets)}]}}"
        )
    values = {name: str(value).lower() if isinstance(value, bool) else value for name, value in new.items()}
    return " ".join([*words, *(f"{field}.{name}={value}" for name, value in values.items())])
