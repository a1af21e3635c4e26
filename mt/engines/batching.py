"""Batches of similar length under a token budget, halved when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from mt.engines.devices import release
from mt.errors import EngineError, describe

T = TypeVar("T")

_CPU_ALLOCATOR = ("DefaultCPUAllocator", "can't allocate memory")


def token_batches(
    lengths: Sequence[int],
    budget: int,
    rows: Iterable[int] | None = None,
    regimes: Sequence[Hashable] | None = None,
) -> list[list[int]]:
    """Return the rows (all of them by default) in batches whose padded size keeps within `budget` tokens.

    Rows are sorted by length, longest first, so that the largest batch meets a lack of memory at once; equal
    lengths keep their order. A row longer than the budget forms a batch of its own. Rows of different `regimes`
    never share a batch.
    """
    open_batches: dict[Hashable, list[int]] = {}
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)) if rows is None else rows, key=lambda row: -lengths[row]):
        regime = regimes[row] if regimes is not None else None
        batch = open_batches.get(regime)
        if batch is not None and lengths[batch[0]] * (len(batch) + 1) <= budget:
            batch.append(row)
        else:
            open_batches[regime] = [row]
            batches.append(open_batches[regime])
    return batches


def run_halving(
    batches: list[list[int]],
    lengths: Sequence[int],
    compute: Callable[[list[int]], T],
    field: str,
    regimes: Sequence[Hashable] | None = None,
) -> Iterator[tuple[list[int], T]]:
    """Yield (batch, compute(batch)); where memory does not suffice, go on with batches of half the tokens.

    Raises `EngineError` naming `field`, the setting of the token budget, where one row alone does not fit.
    """
    waiting = deque(batches)
    while waiting:
        batch = waiting.popleft()
        try:
            result = compute(batch)
        except RuntimeError as error:
            import torch

            lacks_memory = isinstance(error, torch.OutOfMemoryError) or any(one in str(error) for one in _CPU_ALLOCATOR)
            if not lacks_memory:
                raise
            if len(batch) == 1:
                problem = "one row alone, with all its samples, takes so many tokens, and they do not fit into memory"
                fix = "Use fewer samples, a shorter max_length, a smaller dtype or a device with more memory"
                raise EngineError(describe(field, lengths[batch[0]], problem, fix=fix)) from error
        else:
            yield batch, result
            continue
        release()  # only now: the error's traceback held the tensors of the failed batch
        half = max(lengths[row] for row in batch) * len(batch) // 2
        waiting = deque(token_batches(lengths, half, [row for rest in (batch, *waiting) for row in rest], regimes))
