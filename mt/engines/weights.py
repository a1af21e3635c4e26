"""A folder's weights against its architecture: by names and shapes, with transformers' own renames; no data is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt.errors import ModelError, describe
from mt.runtime.text import shortened

_NAMED = 3
SAVE_AGAIN = "Download it again, or save the whole model with save_pretrained"


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """What loading a folder's weights into a model left open."""

    missing: list[str]
    """Weights of the model that the folder does not have: they would stay random."""
    unexpected: list[str]
    """Weights of the folder that the model does not have, its own ignore list left out."""
    mismatched: list[str]
    """Weights of another shape, with both shapes."""

    @staticmethod
    def from_info(info: Mapping[str, Any], *, added: Collection[str] = ()) -> FoundWeights:
        """Read the loading info of transformers; `added` names modules that start without stored weights."""
        inside = tuple(f"{name}." for name in added)
        mismatched = [
            f"{name} {list(stored)} instead of {list(wanted)}" for name, stored, wanted in info["mismatched_keys"]
        ]
        missing = [name for name in info["missing_keys"] if not name.startswith(inside)]
        return FoundWeights(sorted(missing), sorted(info["unexpected_keys"]), sorted(mismatched))

    def refuse(self, field: str, folder: Path, *, allow_extra: bool) -> None:
        """Raise `ModelError` where weights are missing, of another shape, or superfluous and not allowed to be."""
        if self.missing:
            problem = f"its files lack {len(self.missing)} of the model's weights ({_some(self.missing)})"
            raise ModelError(describe(field, folder, problem, fix=SAVE_AGAIN))
        if self.mismatched:
            problem = f"{len(self.mismatched)} weights have another shape than config.json says"
            raise ModelError(describe(field, folder, f"{problem} ({_some(self.mismatched)})", fix=SAVE_AGAIN))
        if self.unexpected and not allow_extra:
            setting = f"{field.rpartition('.')[0]}.allow_extra_weights=true"
            problem = f"its files hold {len(self.unexpected)} weights that the model does not have"
            fix = f"Check that config.json belongs to them, or leave them out by {setting}"
            raise ModelError(describe(field, folder, f"{problem} ({_some(self.unexpected)})", fix=fix))


def compare(model_class: Any, config: Any, shapes: Mapping[str, Sequence[int]]) -> FoundWeights:
    """Return how the tensors that a folder stores, by name and shape, fit the weights of a class.

    This is transformers' own loading, with its renames, merges of experts, tied weights and ignore lists, on the
    meta device, which holds no data. Raises `RuntimeError` where a conversion fails.
    """
    import torch

    tensors = {name: torch.empty(tuple(shape), device="meta") for name, shape in shapes.items()}
    _, info = model_class.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        device_map={"": "meta"},
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    return FoundWeights.from_info(info)


def _some(names: Sequence[str]) -> str:
    return ", ".join(shortened(names, _NAMED))
