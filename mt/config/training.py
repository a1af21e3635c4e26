"""Settings of training: what is optimised (keyed), and by what machinery (mostly not keyed)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mt.config.base import Config, Unkeyed


class LoraConfig(Config):
    """Low-rank adapters instead of the whole model; merged into the weights before the model is published."""

    rank: Annotated[int, Field(ge=1)]
    """Rank of the update of each adapted matrix."""
    alpha: Annotated[int, Field(ge=1)]
    """The update is scaled by alpha / rank."""
    targets: Annotated[list[str], Field(min_length=1)]
    """Names of the linear layers to adapt; ["all-linear"] adapts all but the output head."""


class TrainingConfig(Config):
    """How one model is trained; every field changes the result."""

    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate."""
    batch_size: Annotated[int, Field(ge=1)]
    """Pairs (or demonstrations) per optimizer step, over all devices and accumulation steps."""
    epochs: Annotated[int, Field(ge=1)]
    """Passes over the data."""
    optimizer: Literal["adamw", "rmsprop"]
    """AdamW (β 0.9, 0.999) or RMSprop (α 0.99), with an ε of 1e-8."""
    schedule: Literal["cosine", "linear", "constant"]
    """The learning rate after warm-up: falls along a cosine or a line that reaches 0 one step after the last, or
    stays."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]
    """Share of the n steps in which the learning rate rises: in w = min(⌈ratio · n⌉, n - 1) steps, the i-th of them
    at i / (w + 1) of the peak. So the first step trains, and the only step of a training trains at the peak."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Decoupled weight decay; biases and norms are exempt."""
    max_gradient_norm: Annotated[float, Field(gt=0)]
    """Gradients of a larger norm are scaled down to it."""
    max_length: Annotated[int, Field(ge=2)]
    """Longest sequence, prompt and response together, in tokens."""
    truncation: Literal["drop", "left"]
    """What happens to a longer one: dropped, or cut on its left (a policy's response is never cut). Counted."""
    group_by_length: Annotated[int, Field(ge=1)]
    """Batches that are sorted by length together before they are cut: 1 draws every batch at random, more
    save padding, at the price of batches of similar length. Their order stays random."""
    drop_last: bool
    """What happens to the rows that fill no whole batch: a smaller last step, or left out. Counted."""
    lora: LoraConfig | None
    """Train low-rank adapters; null trains every weight."""


class _Trainer(Config):
    """What every trainer needs."""

    dtype: Literal["float32", "bfloat16"]
    """Precision of the forward and backward pass; master weights and optimizer stay in float32."""
    publish_dtype: Literal["float32", "bfloat16"]
    """Precision of the published weights. bfloat16 halves the folder, but rounds small changes of weights away: at a
    small learning rate most of them. The count `update_kept` says how many are left."""
    allow_unchanged: Unkeyed[bool]
    """Publish a model that equals its start, with a warning; false makes that an error."""
    micro_batch_tokens: Unkeyed[Annotated[int, Field(ge=1)]]
    """Tokens, padding included, of one forward pass on one device; gradients accumulate to the whole batch."""
    gradient_checkpointing: Unkeyed[bool]
    """Recompute activations in the backward pass: about a third slower, much less memory."""
    checkpoint_minutes: Unkeyed[Annotated[float, Field(ge=0)]]
    """Minutes between checkpoints, from which a killed training continues; 0 saves at every report."""
    report_steps: Unkeyed[Annotated[int, Field(ge=1)]]
    """Steps between reports of loss, accuracy and the like."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)] | None]
    """CPU threads of one process; null chooses by what is free."""
    device: Unkeyed[Literal["auto", "cpu", "cuda"]]
    """Where to train; auto takes a GPU where there is one."""


class InlineTrainer(_Trainer):
    """Training in this process, on one device."""

    name: Literal["inline"]


class TorchrunTrainer(_Trainer):
    """Training in processes of their own, one per GPU, with DDP or DeepSpeed."""

    name: Literal["torchrun"]
    processes: Unkeyed[Annotated[int, Field(ge=1)] | None]
    """Processes that share a training; null starts one per GPU (one on a machine without)."""
    zero_stage: Literal[0, 1, 2, 3]
    """DeepSpeed ZeRO stage: shards optimizer (1), gradients (2), weights (3); 0 is plain DDP without DeepSpeed."""
    offload_optimizer: Unkeyed[bool]
    """Keep the optimizer's state in CPU memory (ZeRO only)."""
    timeout_minutes: Unkeyed[Annotated[float, Field(gt=0)]]
    """Minutes that one collective operation may take before the processes give up."""


TrainerConfig = Annotated[InlineTrainer | TorchrunTrainer, Field(discriminator="name")]
