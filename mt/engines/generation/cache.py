"""A key-value cache with room to grow: new tokens are written in place, not by copying the past at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from torch import Tensor

SPARE_TOKENS = 64
"""Room added each time that a layer is full: the past is copied once in as many steps."""


class SpareLayer(DynamicLayer):
    """A layer whose keys and values (rows x heads x tokens x width) are views of larger buffers."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append the states of new tokens and return those of all tokens so far."""
        past = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [key_states[:, :, :0], value_states[:, :, :0]]
        total = past + key_states.shape[2]
        if total > self.buffers[0].shape[2]:
            self.buffers = [_roomier(buffer, past, total + SPARE_TOKENS) for buffer in self.buffers]
        for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, past:total] = new
        return self._view(total)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row."""
        self._rearrange(lambda buffer: buffer.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        self._rearrange(lambda buffer: buffer[indices])

    def _rearrange(self, rows: Callable[[Tensor], Tensor]) -> None:
        self.buffers = [rows(buffer) for buffer in self.buffers]
        self._view(self.get_seq_length())

    def _view(self, tokens: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (buffer[:, :, :tokens] for buffer in self.buffers)
        return self.keys, self.values


def open_cache(config: Any) -> DynamicCache:
    """Return an empty cache for a model, with room to grow in the layers that attend to everything."""
    cache = DynamicCache(config=config)
    cache.layers = [SpareLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def joined(caches: Sequence[DynamicCache]) -> DynamicCache:
    """Return one cache with the rows of all, which have equally many tokens; it takes the place of the first."""
    for layer, *others in zip(*(cache.layers for cache in caches), strict=True):
        layer.keys, layer.values = (
            torch.cat([getattr(one, name) for one in (layer, *others)]) for name in ("keys", "values")
        )
        if isinstance(layer, SpareLayer):
            layer.buffers = [layer.keys, layer.values]
    return caches[0]


def _roomier(buffer: Tensor, past: int, tokens: int) -> Tensor:
    rows, heads, _, width = buffer.shape
    larger = buffer.new_empty(rows, heads, tokens, width)
    larger[:, :, :past] = buffer[:, :, :past]
    return larger
