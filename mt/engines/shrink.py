"""A narrow copy of a model: the same class, kinds of layers and scalings, with random weights, in a second."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch

_WIDTHS = re.compile(
    r"hidden_(size|dim)|intermediate|ffn|inner|head_?dim|width|d_model|d_ff|d_ssm|d_head|d_kv|n_embd|embedding_size"
    r"|mlp_size|_rank$|_dims?$|^dim$"
)
_NOT_WIDTHS = re.compile(r"vocab|kernel|window|chunk|patch|num_|_layers|scal")
_ANY_WIDTH = re.compile(r"intermediate|ffn|inner")
"""Widths that need no common divisor with the others."""
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_blocks")
_COMPUTED = ("layer_types", "layers_block_type")
_DIVISORS = (32, 16, 8, 4, 2, 1)
_VOCABULARY = 64
_SPANS = re.compile(r"(^|_)(window|chunk)(_size)?$")
_SPAN = 4
"""Tokens of an attention window or of a recurrent layer's chunk: short sequences reach beyond them."""
_EXPERTS = re.compile(r"(^|_)experts$")
_MOST_EXPERTS = 32
_MOST_PARAMETERS = 32_000_000  # 128 MB


def shrink(model_class: Any, config: Any) -> Any:
    """Return a small model of the class (float32, in evaluation mode, on the CPU), or None where none can be built.

    Widths are divided by a common number, so that their ratios stay: number of heads, groups and experts are the
    original's, and so is every scaling. One layer of each kind is kept, two at least. Families whose settings refer
    to their layers by number keep all of them.
    """
    for divisor in _DIVISORS:
        for kept in (_layers(config), None):
            try:
                return _build(model_class, _narrow(config, divisor, kept))
            except Exception:  # configurations forbid combinations by errors of every kind: try the next
                continue
    return None


def _build(model_class: Any, config: Any) -> Any:
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in model_class(config).parameters())
    if parameters > _MOST_PARAMETERS:
        raise ValueError(parameters)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config).float().eval()
    with torch.inference_mode():
        model(input_ids=torch.ones(1, 4, dtype=torch.long), use_cache=False)
    return model


def _narrow(config: Any, divisor: int, kept: Sequence[int] | None) -> Any:
    """Return a copy of the configuration with narrow layers, of which only some are kept (None: all)."""
    narrow = copy.deepcopy(config)
    for name, value in _settings(config):
        if kept is not None and name in _DEPTHS:
            setattr(narrow, name, len(kept))
            continue
        if kept is not None and _per_layer(config, value):
            value = [value[layer] for layer in kept]
        setattr(narrow, name, _narrow_value(name, value, divisor))
    return narrow


def _narrow_value(name: str, value: Any, divisor: int) -> Any:
    """Return one setting of the narrow copy; scalings and whatever else is no size stay as they are."""
    if name == "rope_parameters":
        return _narrow_rotary(value, divisor)
    if name.endswith("_token_id"):
        return _inside(value)
    if isinstance(value, list):
        return [_narrow_value(name, one, divisor) for one in value]
    if type(value) is not int:
        return value
    if name.startswith("vocab_size"):
        return _VOCABULARY
    if name == "first_k_dense_replace":
        return min(value, 1)  # dense layers before those with experts
    if _EXPERTS.search(name):
        return min(value, _MOST_EXPERTS)
    if _SPANS.search(name):
        return min(value, _SPAN)
    if not _WIDTHS.search(name) or _NOT_WIDTHS.search(name):
        return value
    if value % divisor == 0 and value // divisor >= 2:
        return value // divisor
    return max(8, value // divisor) if _ANY_WIDTH.search(name) and value > 8 else value


def _narrow_rotary(parameters: Any, divisor: int) -> Any:
    """Return rotary settings for narrower heads: longrope has a factor for each frequency."""
    if isinstance(parameters, dict):
        return {name: _narrow_rotary(value, divisor) for name, value in parameters.items()}
    return parameters[: max(1, len(parameters) // divisor)] if isinstance(parameters, list) else parameters


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield the configuration's own settings, under the names that its class gives them."""
    yield from ((name, value) for name, value in vars(config).items() if not name.startswith("_"))


def _layers(config: Any) -> list[int]:
    """Return the layers to keep: the first of each kind, and further ones until there are two."""
    depth = _depth(config)
    for name in _COMPUTED:
        kinds: Any = getattr(config, name, None)
        if name not in vars(config) and _per_layer(config, kinds):  # a formula says which is which
            return list(range(min(depth, max(2, *(list(kinds).index(kind) + 1 for kind in kinds)))))
    columns = [value for _, value in _settings(config) if _per_layer(config, value)]
    columns = [column for column in columns if len(set(map(repr, column))) < depth]  # the others number the layers
    first: dict[str, int] = {}
    for layer in range(depth):
        first.setdefault(repr([column[layer] for column in columns]), layer)
    kept = [*first.values(), *(layer for layer in range(depth) if layer not in first.values())]
    return sorted(kept[: max(len(first), min(2, depth))])


def _depth(config: Any) -> int:
    return next((value for name in _DEPTHS if type(value := getattr(config, name, None)) is int), 0)


def _per_layer(config: Any, value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == _depth(config) > 0


def _inside(value: Any) -> Any:
    """Return special token ids that a small vocabulary has."""
    if isinstance(value, list):
        return [_inside(one) for one in value]
    return value % _VOCABULARY if isinstance(value, int) and not isinstance(value, bool) and value > 0 else value
