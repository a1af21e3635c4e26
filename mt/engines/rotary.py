"""Rotary factors that depend on how long a sequence is (Phi-3's longrope, dynamic NTK).

transformers chooses them by the longest row of a batch, and dynamic NTK also by the batches before. A row's reward
or log-probability must depend on neither: rows share a batch only where their factors are the same, and what an
earlier batch left behind is reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Regime = tuple[int, ...]
"""Equal for sequences that may share a batch."""


def batch_regime(config: Any, length: int) -> Regime:
    """Return which rotary factors a sequence of `length` tokens gets; rows of one batch must have one regime.

    Most models have one regime for all lengths, ().
    """
    return tuple(_regime(kind, original, length) for kind, original in _length_dependent(config))


def forget_lengths(model: Any) -> None:
    """Make dynamic rotary layers forget the longest sequence so far, before every forward pass."""
    for module in model.modules():
        if "dynamic" in _kinds(getattr(module, "rope_type", "")):
            module.register_forward_pre_hook(_forget)


def _regime(kind: str, original: int, length: int) -> int:
    if length <= original:
        return 0
    return length if "dynamic" in kind else 1  # longrope has two sets of factors, dynamic NTK one for each length


def _length_dependent(config: Any) -> Iterator[tuple[str, int]]:
    """Yield (kind, the length up to which the factors are constant) of the model's kinds of layers."""
    text = config.get_text_config()
    parameters = getattr(text, "rope_parameters", None) or {}
    groups = [value for value in parameters.values() if isinstance(value, Mapping)] or [parameters]
    for group in groups:
        kind = str(group.get("rope_type", "default"))
        if kind == "longrope":
            yield kind, int(group.get("original_max_position_embeddings") or text.max_position_embeddings)
        elif "dynamic" in kind:
            yield kind, int(text.max_position_embeddings)


def _kinds(rope_type: Any) -> str:
    return " ".join(map(str, rope_type.values())) if isinstance(rope_type, Mapping) else str(rope_type)


def _forget(module: Any, _: Any) -> None:
    kinds = module.rope_type if isinstance(module.rope_type, Mapping) else {"": module.rope_type}
    for layer, kind in kinds.items():
        prefix = f"{layer}_" if layer else ""
        if "dynamic" in kind:
            original = getattr(module, f"{prefix}original_inv_freq")
            module.register_buffer(f"{prefix}inv_freq", original, persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)
