"""Peak memory per device of training and serving, and what to change where it does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from mt.config.engines import GeneratorConfig, ScorerConfig
from mt.config.hardware import HardwareConfig
from mt.config.training import TrainerConfig, TrainingConfig
from mt.costing.shapes import Shape

GIB = 2.0**30
_OVERHEAD_GIB = 2.0  # CUDA context, communication buffers, fragmentation
_LOGIT_CHUNK = 1024  # response positions whose logits exist at once (mt/engines/logprobs.py)


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak per device in GiB, whether it fits, and which setting would make it fit."""

    gib: float
    fits: bool
    advice: str = ""


def training(shape: Shape, training: TrainingConfig, trainer: TrainerConfig, hardware: HardwareConfig) -> Memory:
    """Estimate training: weights, gradients and AdamW in mixed precision, sharded by ZeRO, and activations.

    Per weight 2 bytes of bf16 and 2 of gradient, 12 of fp32 master weight and moments (ZeRO paper, §3.1); plain
    fp32 takes 16. LoRA trains about 1% of the weights.
    """
    zero = getattr(trainer, "zero_stage", 0)
    devices = hardware.devices if trainer.name == "torchrun" else 1
    mixed = trainer.dtype == "bfloat16"
    trained = shape.parameters * (0.01 if training.lora else 1.0)
    weights = shape.parameters * (2 if mixed and zero else 4)
    gradients, state = trained * (2 if mixed and zero else 4), trained * (12 if mixed and zero else 8)
    weights /= devices if zero >= 3 else 1
    gradients /= devices if zero >= 2 else 1
    state /= devices if zero >= 1 else 1
    if getattr(trainer, "offload_optimizer", False):
        state = 0.0
    total = (weights + gradients + state + _activations(shape, trainer)) / GIB + _overhead(hardware)
    return _verdict(total, hardware, _advice(trainer, zero))


def serving(shape: Shape, max_length: int, engine: GeneratorConfig | ScorerConfig, hardware: HardwareConfig) -> Memory:
    """Estimate inference: weights on each device (or spread over `tensor_parallel`), and one full-length cache."""
    spread = getattr(engine, "tensor_parallel", 1)
    width = 4 if engine.dtype == "float32" else 2
    cache = 2 * shape.layers * shape.key_value_heads * (shape.hidden / shape.heads) * max_length * width * 8
    total = (shape.parameters * width + cache) / spread / GIB + _overhead(hardware)
    return _verdict(total, hardware, "generator.tensor_parallel=2 spreads the weights over two devices")


def _activations(shape: Shape, trainer: TrainerConfig) -> float:
    """One checkpoint per layer and one layer in full, or every layer in full; and a chunk of fp32 logits."""
    tokens = trainer.micro_batch_tokens
    layer = tokens * (34 * shape.hidden + 6 * shape.feed_forward)  # Korthikanti et al. 2022, §4, with gated MLPs
    if trainer.gradient_checkpointing:
        layers = shape.layers * tokens * shape.hidden * 2 + layer
    else:
        layers = shape.layers * layer
    return layers + 2.0 * 4 * shape.vocabulary * min(tokens, _LOGIT_CHUNK)


def _overhead(hardware: HardwareConfig) -> float:
    return _OVERHEAD_GIB if hardware.name != "laptop" else 0.5


def _verdict(gib: float, hardware: HardwareConfig, advice: str) -> Memory:
    fits = gib <= 0.95 * hardware.memory_gib
    return Memory(gib, fits, "" if fits else advice)


def _advice(trainer: TrainerConfig, zero: int) -> str:
    if trainer.name != "torchrun":
        return "trainer=torchrun shards the optimizer over the devices"
    if zero < 3:
        return "trainer.zero_stage=3 shards weights, gradients and optimizer"
    if not trainer.gradient_checkpointing:
        return "trainer.gradient_checkpointing=true keeps one activation per layer"
    return "a smaller trainer.micro_batch_tokens, trainer.offload_optimizer=true, or policy.training.lora"
