"""The shape of a model, from its config.json or from what is publicly known of it, and the number of its weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mt.engines.models import weight_shapes
from mt.errors import ModelError, describe
from mt.runtime.text import parse_json
from mt.workflow.volume import Shape

_LLAMA3_8B = Shape(4096, 32, 14336, 32, 8, 128, 128256, tied=False)
KNOWN = {
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA3_8B,
    "sfairXC/FsfairX-LLaMA3-RM-v0.1": replace(_LLAMA3_8B, rewards=True),
    "mistralai/Mistral-7B-Instruct-v0.2": replace(_LLAMA3_8B, vocabulary=32000),
    "Qwen/Qwen2.5-0.5B-Instruct": Shape(896, 24, 4864, 14, 2, 64, 151936, tied=True),
    "Skywork/Skywork-Reward-V2-Qwen3-0.6B": Shape(1024, 28, 3072, 16, 8, 128, 151936, tied=True, rewards=True),
}
"""Sizes as their public config.json files state them."""
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_FEED_FORWARD = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
"""What families call a size: GPT-2, Falcon, OPT and MPT have names of their own."""
FAMILIES = {20_000_000: "world", 700_000_000: "smollm2", 3_000_000_000: "small_gpu"}
"""Weights that a model of each family has fewer of; what is larger is the paper's (our choice)."""


def shape_of_folder(folder: Path) -> Shape:
    """Return the shape that a folder's config.json states, its weights counted where the files are there.

    Raises ModelError where it states none.
    """
    try:
        config = parse_json((folder / "config.json").read_bytes())
        shape = shape_of_config(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ModelError(describe("model", folder, f"its config.json states no sizes ({error})")) from None
    with contextlib.suppress(ModelError, OSError, ValueError, TypeError):  # the check of the model says what is wrong
        return _counted(shape, config, weight_shapes(folder, "model"))
    return shape


def shape_of_config(config: Mapping[str, Any]) -> Shape:
    """Return the shape of a Hugging Face config; KeyError for a missing size."""
    # A model without attention caches no keys; as one head it is thought to keep no less.
    heads, hidden = int(_size(config, _HEADS, 1)), int(_size(config, _HIDDEN))
    return Shape(
        hidden=hidden,
        layers=int(_size(config, _LAYERS)),
        feed_forward=int(_size(config, _FEED_FORWARD, 4 * hidden)),
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        rewards=any(name.endswith("ForSequenceClassification") for name in config.get("architectures") or []),
    )


def _size(config: Mapping[str, Any], names: Sequence[str], otherwise: int | None = None) -> Any:
    found = next((config[name] for name in names if config.get(name)), otherwise)
    if found is None:
        raise KeyError(names[0])
    return found


def _counted(shape: Shape, config: Mapping[str, Any], weights: Mapping[str, Sequence[int]]) -> Shape:
    """Return a shape with the weights that there are, and how many of them a token does not pass."""
    experts = _size(config, _EXPERTS, 0)
    routed = sum(
        math.prod(size)
        for name, size in weights.items()
        if experts and (".experts." in name or (len(size) == 3 and size[0] == experts))
    )
    asked = config.get("num_experts_per_tok") or experts
    head = any(name.endswith(("lm_head.weight", "embed_out.weight")) for name in weights)
    idle = routed - routed * asked // experts if experts else 0
    return replace(shape, tied=not head, counted=sum(map(math.prod, weights.values())), idle=idle)


def count_weights(path: str | None) -> int | None:
    """Return how many weights the local model folder at `path` has, or None where that cannot be known here.

    A hub name's are not known: what a run is must not depend on what a cache holds. Nor are those of a folder that
    cannot be read: what is wrong with it is reported where models are checked.
    """
    folder = Path(path).expanduser() if path else None
    with contextlib.suppress(ModelError, OSError):
        if folder is not None and folder.is_dir():
            return sum(math.prod(shape) for shape in weight_shapes(folder, "policy.path").values())
    return None


def family_of(weights: int | None, otherwise: str) -> str:
    """Return which hyper-parameters suit a model of this size; `otherwise` where it is not known."""
    if weights is None:
        return otherwise
    return next((family for most, family in FAMILIES.items() if weights < most), "paper")
