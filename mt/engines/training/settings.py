"""Settings of training that every trainer follows, all of them keyed, and the layers that adapters may go beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from mt.choice import Config, Count, Length, NotNegative, Positive, Share
from mt.errors import ConfigError, describe

ALL_LINEAR = "all-linear"


class LoraConfig(Config):
    """Low-rank adapters instead of the whole model; merged into the weights before the model is published."""

    rank: Count
    """Rank of the update of each adapted matrix."""
    alpha: Count
    """The update is scaled by alpha / rank."""
    targets: Annotated[list[str], Field(min_length=1)]
    """Names of the linear layers to adapt; ["all-linear"] adapts all but the output head."""

    def identity(self) -> dict[str, Any]:
        """Return the fields and the version of what adapters compute, so that only their trainings get other keys."""
        return {**super().identity(), "version": 2}  # 2: a bfloat16 trainer holds what is frozen in bfloat16


class TrainingConfig(Config):
    """How one model is trained; every field changes the result."""

    learning_rate: Annotated[float, Field(gt=0, le=10)]
    """Peak learning rate."""
    batch_size: Count
    """Pairs (or demonstrations) per optimizer step, over all devices and accumulation steps."""
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    """Passes over the data."""
    optimizer: Literal["adamw", "rmsprop"]
    """AdamW (β 0.9, 0.999) or RMSprop (α 0.99), with an ε of 1e-8."""
    schedule: Literal["cosine", "linear", "constant"]
    """The learning rate after warm-up: falls along a cosine or a line that reaches 0 one step after the last, or
    stays."""
    warmup_ratio: Share
    """Share of the n steps in which the learning rate rises: in w = min(⌈ratio · n⌉, n - 1) steps, the i-th of them
    at i / (w + 1) of the peak. So the first step trains, and the only step of a training trains at the peak."""
    weight_decay: NotNegative
    """Decoupled weight decay; biases and norms are exempt."""
    max_gradient_norm: Positive
    """Gradients of a larger norm are scaled down to it."""
    max_length: Length
    """Longest sequence, prompt and response together, in tokens."""
    truncation: Literal["drop", "left"]
    """What happens to a longer one: dropped, or cut on its left (a policy's response is never cut). Counted."""
    group_by_length: Count
    """Batches that are sorted by length together before they are cut: 1 draws every batch at random, more
    save padding, at the price of batches of similar length. Their order stays random."""
    drop_last: bool
    """What happens to the rows that fill no whole batch: a smaller last step, or left out. Counted."""
    lora: LoraConfig | None
    """Train low-rank adapters; null trains every weight."""


def check_targets(model: Any, targets: Sequence[str], field: str = "lora.targets") -> None:
    """Refuse names that no layer of the model has, and layers whose weights another layer uses, too.

    Merging an adapter into a weight that the output head shares with the embedding would change both, and training
    saw it change one. `all-linear` leaves the output head out.
    """
    import torch

    if list(targets) == [ALL_LINEAR]:
        return
    tied = {*model.all_tied_weights_keys, *model.all_tied_weights_keys.values()}
    layers = {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | torch.nn.Embedding)
    }
    linear = sorted({n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
    for target in targets:
        named = [layer for layer in layers if layer == target or layer.endswith(f".{target}")]
        if not named:
            allowed = ", ".join([ALL_LINEAR, *linear])
            raise ConfigError(describe(field, target, "the model has no such layers", allowed=allowed))
        if shared := sorted(layer for layer in named if f"{layer}.weight" in tied):
            problem = f"the weights of {shared[0]} are tied to another layer's: merging would change both"
            fix = f"Leave it out, or use {ALL_LINEAR}"
            raise ConfigError(describe(field, target, problem, fix=fix))
