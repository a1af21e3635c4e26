"""The shape of a model, from its config.json or from what is publicly known of it; no weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mt.errors import ModelError, describe
from mt.runtime.jsonl import parse_json


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes."""

    hidden: int
    layers: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether the output head shares the embedding's weights."""
    rewards: bool = False
    """Whether one number is read out in place of the vocabulary."""

    @property
    def embedding(self) -> int:
        """Weights of the embedding, and of an output head over the vocabulary."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Weights of attention, gated feed-forward, embedding and output head."""
        attention = 2 * self.hidden * self.head_size * (self.heads + self.key_value_heads)
        one_table = self.tied or self.rewards
        return self.layers * (attention + 3 * self.hidden * self.feed_forward) + self.embedding * (2 - one_table)

    def adapter_parameters(self, rank: int) -> int:
        """Return the weights of low-rank adapters beside all linear layers but the output head."""
        attention = 4 * self.hidden + 2 * self.head_size * (self.heads + self.key_value_heads)
        return self.layers * rank * (attention + 3 * (self.hidden + self.feed_forward))

    @property
    def flops_per_token(self) -> int:
        """FLOPs of a forward pass per token: two per weight that multiplies (the embedding look-up does not)."""
        looked_up = 0 if self.tied and not self.rewards else self.embedding
        return 2 * (self.parameters - looked_up)

    @property
    def cache_values(self) -> int:
        """Keys and values that a token leaves in the cache."""
        return 2 * self.layers * self.key_value_heads * self.head_size


_LLAMA3_8B = Shape(4096, 32, 14336, 32, 8, 128, 128256, tied=False)
KNOWN = {
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA3_8B,
    "sfairXC/FsfairX-LLaMA3-RM-v0.1": replace(_LLAMA3_8B, rewards=True),
    "mistralai/Mistral-7B-Instruct-v0.2": replace(_LLAMA3_8B, vocabulary=32000),
    "Qwen/Qwen2.5-0.5B-Instruct": Shape(896, 24, 4864, 14, 2, 64, 151936, tied=True),
    "Skywork/Skywork-Reward-V2-Qwen3-0.6B": Shape(1024, 28, 3072, 16, 8, 128, 151936, tied=True, rewards=True),
}
"""Sizes as their public config.json files state them."""


def shape_of_folder(folder: Path) -> Shape:
    """Return the shape that a folder's config.json states; raises ModelError where it states none."""
    try:
        return shape_of_config(parse_json((folder / "config.json").read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ModelError(describe("model", folder, f"its config.json tells no sizes ({error})")) from None


def shape_of_config(config: Mapping[str, Any]) -> Shape:
    """Return the shape of a Hugging Face config; KeyError for a missing size."""
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    return Shape(
        hidden=hidden,
        layers=int(config["num_hidden_layers"]),
        feed_forward=int(config["intermediate_size"]),
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        rewards=any(name.endswith("ForSequenceClassification") for name in config.get("architectures") or []),
    )
