"""Rotary factors that depend on how long a sequence is (Phi-3's longrope, dynamic NTK).

transformers chooses them by the longest row of a batch, and dynamic NTK also by the batches before. A row's reward
or log-probability must depend on neither. Where rows are batched freely, only those of one regime share a batch;
training, whose pairs stand in one batch, gives each row's own positions instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Regime = tuple[int, ...]
"""Equal for sequences that may share a batch."""


def batch_regime(config: Any, length: int) -> Regime:
    """Return which rotary factors a sequence of `length` tokens gets; rows of one batch must have one regime.

    Most models have one regime for all lengths, ().
    """
    # longrope has two sets of factors, dynamic NTK one for each length beyond the original
    return tuple(
        0 if length <= original else length if "dynamic" in kind else 1 for kind, original in _length_dependent(config)
    )


def row_positions(config: Any, ids_ST: Tensor, last_R: Tensor) -> dict[str, Tensor]:
    """Return the position ids of right-padded rows, as an argument for the model's forward, where they matter.

    `last_R` holds places in the flattened ids, the last token of every row among them. Padding repeats the position
    of its row's last token, so that no row looks longer than it is.
    """
    import torch

    if not batch_regime(config, 1):
        return {}
    rows, width = ids_ST.shape
    ends_S = last_R.new_zeros(rows).scatter_reduce(0, last_R // width, last_R % width, "amax")
    return {"position_ids": torch.arange(width, device=ids_ST.device).minimum(ends_S[:, None])}


def separate_rows(model: Any) -> None:
    """Make length-dependent rotary layers choose the factors of each row by that row's positions alone, in place."""
    for module in model.modules():
        if any(kind == "longrope" or "dynamic" in kind for kind in _kinds(getattr(module, "rope_type", "")).values()):
            module.forward = MethodType(_forward_by_regime, module)


def _forward_by_regime(module: Any, x: Tensor, position_ids: Tensor, *more: Any, **named: Any) -> tuple[Tensor, Tensor]:
    """Compute cosines and sines (rows x tokens x width) regime by regime."""
    regimes: dict[Regime, list[int]] = {}
    for row, end in enumerate(position_ids.amax(1).tolist()):
        regimes.setdefault(batch_regime(module.config, end + 1), []).append(row)
    parts = {}
    for rows in regimes.values():
        _forget(module)
        parts[tuple(rows)] = type(module).forward(module, x, position_ids[rows], *more, **named)
    if len(parts) == 1:
        return next(iter(parts.values()))
    cosines, sines = (part.new_empty(len(position_ids), *part.shape[1:]) for part in next(iter(parts.values())))
    for own, (cosine, sine) in parts.items():
        cosines[list(own)], sines[list(own)] = cosine, sine
    return cosines, sines


def _forget(module: Any) -> None:
    """Make dynamic factors forget the longest sequence so far."""
    for layer, kind in _kinds(module.rope_type).items():
        prefix = f"{layer}_" if layer else ""
        if "dynamic" in kind:
            original = getattr(module, f"{prefix}original_inv_freq")
            module.register_buffer(f"{prefix}inv_freq", original, persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


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


def _kinds(rope_type: Any) -> dict[str, str]:
    """Return the kind of each kind of layer; most models have one, unnamed."""
    return dict(rope_type) if isinstance(rope_type, Mapping) else {"": str(rope_type)}
