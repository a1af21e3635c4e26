"""Batches of similar length under a token budget, halved when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from mt.errors import EngineError, describe

T = TypeVar("T")

_CPU_ALLOCATOR = ("DefaultCPUAllocator", "can't allocate memory")


def token_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return indices of rows in batches whose padded size (rows x longest) keeps within `budget` tokens.

    Rows are sorted by length, longest first, so that the largest batch meets a lack of memory at once; equal
    lengths keep their order. A row longer than the budget forms a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    for index in order:
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def run_halving(
    batches: list[list[int]], compute: Callable[[list[int]], T], field: str
) -> Iterator[tuple[list[int], T]]:
    """Yield (batch, compute(batch)), with batches of half the rows from then on where memory does not suffice.

    Raises `EngineError` naming `field`, the setting of the token budget, where one row alone does not fit.
    """
    waiting, limit = deque(batches), max(map(len, batches), default=0)
    while waiting:
        batch = waiting.popleft()
        if len(batch) > limit:
            waiting.extendleft([batch[limit:], batch[:limit]])
            continue
        try:
            result = compute(batch)
        except RuntimeError as error:
            _refuse(error, len(batch), field)
        else:
            yield batch, result
            continue
        _free_memory()  # only now: the error's traceback held the tensors of the failed batch
        limit = len(batch) // 2
        waiting.appendleft(batch)


def _refuse(error: RuntimeError, rows: int, field: str) -> None:
    """Raise every error but a lack of memory that fewer rows may avoid."""
    import torch

    lacks_memory = isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _CPU_ALLOCATOR)
    if not lacks_memory:
        raise error
    if rows == 1:
        mend = "Use a shorter max_length, a smaller dtype or a device with more memory"
        raise EngineError(describe(field, rows, "one row alone does not fit into memory", mend=mend)) from error


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
