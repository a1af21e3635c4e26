from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mt.engines.training import process
from mt.engines.training.batches import global_batches, micro_batches
from mt.engines.training.data import Examples
from tests.engines.training.conftest import TRAINER, Lab, changed

LENGTHS = [random.Random(i).randint(1, 50) for i in range(50)]


def batches(**changes: object) -> list[list[int]]:
    settings: dict[str, object] = {"epochs": 1, "seed": 0, "buckets": 1, "drop_last": False, **changes}
    return global_batches(LENGTHS, 8, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("buckets", [1, 3, 100])
def test_every_epoch_passes_over_every_row_once(buckets: int) -> None:
    steps = batches(epochs=3, buckets=buckets)
    assert [len(step) for step in steps] == 3 * [*[8] * 6, 2]
    assert Counter(row for step in steps for row in step) == dict.fromkeys(range(50), 3)
    assert steps[:7] != steps[7:14]


def test_the_rest_is_dropped_where_asked() -> None:
    assert [len(step) for step in batches(drop_last=True)] == [8] * 6


def test_seeds_decide() -> None:
    assert batches(seed=1) == batches(seed=1) != batches(seed=2)


def test_buckets_save_padding_in_random_order() -> None:
    def padding(steps: list[list[int]]) -> int:
        return sum(len(step) * max(LENGTHS[row] for row in step) for step in steps)

    sorted_ = batches(buckets=6)
    assert padding(sorted_) < 0.75 * padding(batches())
    longest = [max(LENGTHS[row] for row in step) for step in sorted_[:6]]
    assert longest != sorted(longest)


@given(
    lengths=st.lists(st.integers(1, 100), min_size=1, max_size=40),
    budget=st.integers(1, 400),
    devices=st.integers(1, 5),
)
def test_micro_batches_share_a_step_out(lengths: list[int], budget: int, devices: int) -> None:
    shares = micro_batches(range(len(lengths)), lengths, budget, devices)
    assert len(shares) == devices
    assert len({len(share) for share in shares}) == 1
    groups = [group for share in shares for group in share]
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) <= 1 or len(group) * max(lengths[row] for row in group) <= budget
    if len(lengths) >= len(groups):
        assert all(groups)


@pytest.mark.parametrize(
    ("device", "setting", "budget"), [("cpu", None, 512), ("cuda:0", None, 16_384), ("cpu", 77, 77), ("cuda:0", 77, 77)]
)
def test_the_device_of_a_training_decides_its_micro_batches(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, device: str, setting: int | None, budget: int
) -> None:
    """Whatever machine composed, and whatever device the test has: a step is cut before anything is put there."""

    class Cut(Exception):
        pass

    def cut(*_: Any, budget: int, **__: Any) -> None:
        raise Cut(budget)

    monkeypatch.setattr(process, "OptimizerSteps", cut)
    task = replace(lab.task(), trainer=changed(TRAINER, micro_batch_tokens=setting))
    chat: Any = SimpleNamespace(pad_id=0)
    args: Any = SimpleNamespace(device=torch.device(device))
    with pytest.raises(Cut, match=rf"^{budget}$"):
        process.build(task, args, None, chat, Examples(), [], print, process.TrainingProcess(rank=0, world_size=1))
