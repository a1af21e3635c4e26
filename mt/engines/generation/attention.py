"""Attention of one new token a row in which query heads share keys and values without a copy for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from torch import Tensor

_NAME = "shared_heads"


def share_heads(model: Any) -> None:
    """Let a model that attends by torch's kernel (sdpa) read grouped keys and values in place when it decodes."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """Attend as sdpa does; where each row has one query, the heads of a group are its queries to one head of keys.

    sdpa repeats keys and values for every query head, which is a quarter of a decoding step of a small model.
    """
    groups, (rows, heads, queries, width) = getattr(module, "num_key_value_groups", 1), query.shape
    for_all_heads = attention_mask is None or attention_mask.shape[1] == 1
    if groups == 1 or queries > 1 or not for_all_heads or settings.get("position_bias") is not None:
        found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
        return found
    grouped = query.view(rows, heads // groups, groups, width)
    scale = settings.get("scaling")
    attended = scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scale)
    return attended.reshape(rows, 1, heads, -1), None
