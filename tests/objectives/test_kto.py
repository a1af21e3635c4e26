import math
from typing import Any

import pytest
import torch

from tests.objectives.example import column, loss, objective, one_pair, random_pairs

WEIGHTS: dict[str, Any] = {"beta": 1.0, "desirable_weight": 1.0, "undesirable_weight": 2.0}


def doubt(x: float) -> float:
    return 1 / (1 + math.exp(x))  # 1 − σ(x)


def test_by_hand() -> None:
    # z_0 = 0: ½[1·(1 − σ(1)) + 2·(1 − σ(1))]
    loss_B, metrics = loss("kto", one_pair(), **WEIGHTS, reference_point="zero")
    assert loss_B.item() == pytest.approx(1.5 * doubt(1), abs=1e-12)
    assert metrics["margin"].item() == 2.0


def test_a_given_reference_point_wins() -> None:
    # z_0 = 1: ½[1·(1 − σ(0)) + 2·(1 − σ(2))]
    loss_B, _ = loss("kto", one_pair(whole_batch=torch.tensor(1.0)), **WEIGHTS, reference_point="zero")
    assert loss_B.item() == pytest.approx(0.25 + doubt(2), abs=1e-12)


def test_the_batch_gives_the_mean_log_ratio_clamped_at_zero() -> None:
    high = one_pair(reference_chosen_B=column(-13), reference_rejected_B=column(-13))  # log-ratios 3 and 1
    low = one_pair(reference_chosen_B=column(-5), reference_rejected_B=column(-5))  # log-ratios −5 and −7
    kto = objective("kto", reference_point="batch")
    assert kto.whole_batch(high) == 2
    assert kto.whole_batch(low) == 0


def test_the_reference_point_carries_no_gradient() -> None:
    pairs = random_pairs(8, grad=True)
    assert not objective("kto", reference_point="batch").whole_batch(pairs).requires_grad


def test_equal_log_probabilities_give_half_of_the_weights() -> None:
    same = one_pair(chosen_B=column(-11), rejected_B=column(-11))
    assert loss("kto", same, **WEIGHTS, reference_point="batch")[0].item() == pytest.approx(0.75, abs=1e-12)
