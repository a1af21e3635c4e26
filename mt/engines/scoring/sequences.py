"""Sequences on their way to a model (tokenised a window at a time, cut, padded), and the check of what it answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from mt.engines.scoring.base import Scorer
from mt.engines.text import Chat
from mt.errors import EngineError, describe
from mt.types import Messages

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


def fit_item(messages: Messages, text: str, chat: Chat, config: Scorer) -> tuple[list[int], bool]:
    """Return a conversation's token ids, cut on the left to `max_length`, and whether they were cut."""
    ids = chat.conversation_ids(messages, text, strip_bos=config.strip_bos)
    return ids[-config.max_length :], len(ids) > config.max_length


def count(counts: dict[str, int], tokens: int, cut: bool) -> None:
    """Add a conversation to what was read."""
    for name, number in (("conversations", 1), ("tokens", tokens), ("truncated", int(cut))):
        counts[name] += number


def finite(index: int, value: float, what: str = "reward") -> float:
    """Return the value; raise `EngineError` naming the item where it is NaN or infinite."""
    if not math.isfinite(value):
        fix = "Check the model's weights, or use dtype=float32"
        raise EngineError(describe(what, value, f"item {index} has no finite {what}", fix=fix))
    return value
