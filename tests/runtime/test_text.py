"""Texts for people."""

from __future__ import annotations

import pytest

from mt.runtime.text import scaled


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (1000, "B", "1.0 kB"),
        (1_234_567, "B", "1.2 MB"),
        (5.5e12, "FLOP", "5.5 TFLOP"),
        (171_639.4e15, "FLOP", "171,639.4 PFLOP"),
        (61_000, "", "61.0k"),
        (9.04e9, "", "9.0G"),
    ],
)
def test_large_numbers_have_the_prefix_that_leaves_them_small(value: float, unit: str, said: str) -> None:
    assert scaled(value, unit) == said
