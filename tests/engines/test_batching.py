"""Batches hold every row once, keep within the budget, and shrink where memory runs out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mt.engines.batching import run_halving, token_batches
from mt.errors import EngineError


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), max_size=60), st.integers(1, 200))
def test_rows_of_different_regimes_never_share_a_batch(rows: list[tuple[int, int]], budget: int) -> None:
    lengths, regimes = [length for length, _ in rows], [regime for _, regime in rows]
    batches = token_batches(lengths, budget, regimes=regimes)
    assert sorted(row for batch in batches for row in batch) == list(range(len(rows)))
    for regime in set(regimes):  # each regime is batched as if there were no other
        own = [i for i, one in enumerate(regimes) if one == regime]
        alone = token_batches([lengths[i] for i in own], budget)
        assert [[own[i] for i in batch] for batch in alone] == [b for b in batches if regimes[b[0]] == regime]


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = token_batches(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_the_budget_halves_for_long_rows_and_still_fills_short_ones() -> None:
    lengths = [10] * 4 + [1] * 40
    tokens: list[int] = []

    def compute(batch: list[int]) -> list[int]:
        size = max(lengths[row] for row in batch) * len(batch)
        tokens.append(size)
        if size > 25:
            raise torch.OutOfMemoryError("out of memory")
        return batch

    found = [row for batch, same in run_halving(token_batches(lengths, 80), lengths, compute, "x") for row in same]
    assert sorted(found) == list(range(44))
    assert tokens[0] == 80
    assert max(tokens[2:]) <= 25
    assert tokens.count(20) >= 3


def test_one_row_that_does_not_fit_names_the_setting() -> None:
    def compute(batch: list[int]) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(
        EngineError, match=r"scorer\.batch_tokens=5: one row alone, with all its samples, .* do not fit"
    ):
        list(run_halving([[0, 1]], [5, 5], compute, "scorer.batch_tokens"))
