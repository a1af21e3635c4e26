"""The shape of a model, from its config.json or from what is publicly known of it; no weight is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt.errors import ModelError, describe


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes; `bytes_per_weight` is what a weight takes on disk."""

    hidden: int
    layers: int
    feed_forward: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool
    bytes_per_weight: int = 2

    @property
    def parameters(self) -> float:
        """Weights of attention, gated feed-forward, and embeddings."""
        head = self.hidden / self.heads
        attention = 2 * self.hidden**2 + 2 * self.hidden * self.key_value_heads * head
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * (attention + 3 * self.hidden * self.feed_forward) + embeddings

    @property
    def flops_per_token(self) -> float:
        """FLOPs of a forward pass per token: two per weight that multiplies (the embedding look-up does not)."""
        lookup = 0 if self.tied else self.vocabulary * self.hidden
        return 2 * (self.parameters - lookup)


_LLAMA3_8B = Shape(4096, 32, 14336, 32, 8, 128256, False)
KNOWN = {
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA3_8B,
    "sfairXC/FsfairX-LLaMA3-RM-v0.1": _LLAMA3_8B,
    "mistralai/Mistral-7B-Instruct-v0.2": Shape(4096, 32, 14336, 32, 8, 32000, False),
    "Qwen/Qwen2.5-0.5B-Instruct": Shape(896, 24, 4864, 14, 2, 151936, True),
}
"""Sizes as their public config.json files state them."""


def shape_of_folder(folder: Path) -> Shape:
    """Return the shape that a folder's config.json states; raises ModelError where it states none."""
    try:
        return shape_of_config(json.loads((folder / "config.json").read_text()))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(describe("model", folder, f"its config.json tells no sizes ({error})")) from None


def shape_of_config(config: Mapping[str, Any]) -> Shape:
    """Return the shape of a Hugging Face config; KeyError for a missing size."""
    heads = int(config["num_attention_heads"])
    return Shape(
        hidden=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        feed_forward=int(config["intermediate_size"]),
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        bytes_per_weight=4 if (config.get("dtype") or config.get("torch_dtype")) == "float32" else 2,
    )
