"""Sequences on their way to a model: tokenised a window at a time, sorted by length, padded on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WINDOW = 8192
"""Items tokenised and sorted together: bounds the memory of waiting sequences and costs hardly any padding."""


def windows(count: int) -> Iterator[range]:
    """Cut `count` items into windows."""
    return (range(start, min(start + WINDOW, count)) for start in range(0, count, WINDOW))


def pad_right(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Tensor:
    """Return token ids as a (rows x longest row) tensor on the device."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows], device=device)
