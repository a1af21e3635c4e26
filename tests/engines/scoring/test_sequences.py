"""Windows cover every item once; what is made ahead comes in order, errors included."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from mt.engines.scoring.sequences import WINDOW, ahead, pad_right, windows


@pytest.mark.parametrize("count", [0, 1, WINDOW, 2 * WINDOW + 1])
def test_windows_cover_every_item_once(count: int) -> None:
    assert [index for window in windows(count) for index in window] == list(range(count))
    assert all(len(window) <= WINDOW for window in windows(count))


def test_the_next_item_is_made_while_one_is_used() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for index, event in enumerate(made):
            yield index
            event.set()

    stream = ahead(items())
    assert next(stream) == 0
    assert made[0].wait(10), "nothing is made before it is asked for"
    assert list(stream) == [1, 2]


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("no such template")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(KeyError, match="no such template"):
        next(stream)


def test_rows_are_padded_on_the_right() -> None:
    padded = pad_right([[5, 6, 7], [8]], 0, torch.device("cpu"))
    assert padded.tolist() == [[5, 6, 7], [8, 0, 0]]
