import math

import pytest
import torch

from mt.objectives import bradley_terry
from tests.objectives.example import column


def test_by_hand() -> None:
    loss_B, metrics = bradley_terry(column(2.0, 1.0), column(1.0, 1.0))
    assert loss_B.tolist() == pytest.approx([math.log(1 + math.exp(-1)), math.log(2)], abs=1e-12)
    assert metrics["accuracy"].tolist() == [1, 0]


def test_weights_multiply_the_loss() -> None:
    loss_B, _ = bradley_terry(column(2.0), column(1.0), column(3.0))
    assert loss_B.item() == pytest.approx(3 * math.log(1 + math.exp(-1)), abs=1e-12)


def test_only_the_difference_of_rewards_counts() -> None:
    shifted, _ = bradley_terry(column(102.0), column(101.0))
    assert shifted.item() == pytest.approx(bradley_terry(column(2.0), column(1.0))[0].item(), abs=1e-12)


def test_wide_gaps_stay_finite() -> None:
    loss_B, _ = bradley_terry(torch.tensor([-500.0, 500.0]), torch.tensor([500.0, -500.0]))
    assert loss_B.tolist() == [1000.0, 0.0]
