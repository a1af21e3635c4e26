"""The weights that trainings publish, and whether they are the same."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from mt.engines.training import TrainingTask

KINDS = ["policy", "reward", "sft"]


def weights(task: TrainingTask) -> dict[str, torch.Tensor]:
    return load_file(Path(task.output) / "model.safetensors")


def assert_close(one: TrainingTask, other: TrainingTask, tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=tolerance, msg=name)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert same(one, other)
