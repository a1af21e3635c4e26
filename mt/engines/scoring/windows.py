"""Sequences on their way to a model: tokenised a window at a time, sorted by length, padded on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

WINDOW = 4096
"""Items tokenised and sorted together: bounds the memory of waiting sequences and costs hardly any padding."""


def windows(count: int) -> Iterator[range]:
    """Cut `count` items into windows."""
    return (range(start, min(start + WINDOW, count)) for start in range(0, count, WINDOW))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; while one is used, the next is made in a thread.

    A tokenizer reads about half a million tokens per second on a core: as fast as a GPU scores them with a small
    model, so that taking turns would cost up to half of the time.
    """
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def pad_right(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Tensor:
    """Return token ids as a (rows x longest row) tensor on the device."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows], device=device)
