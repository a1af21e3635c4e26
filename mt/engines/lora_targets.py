"""Which layers low-rank adapters may go beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mt.errors import ConfigError, describe

ALL_LINEAR = "all-linear"


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
