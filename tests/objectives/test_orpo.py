import math

import pytest
import torch

from mt.objectives.orpo import log_odds
from tests.objectives.example import column, loss, one_pair


def test_by_hand() -> None:
    # P = 0.8 and 0.5 per token: odds 4 and 1, log σ(log 4) = log 0.8; −log 0.8 − 0.5·log 0.8
    pair = one_pair(chosen_B=column(5 * math.log(0.8)), rejected_B=column(4 * math.log(0.5)))
    loss_B, metrics = loss("orpo", pair, odds_weight=0.5)
    assert loss_B.item() == pytest.approx(-1.5 * math.log(0.8), abs=1e-12)
    assert metrics["margin"].item() == pytest.approx(0.5 * math.log(4), abs=1e-12)


def test_without_the_odds_it_is_the_likelihood() -> None:
    assert loss("orpo", one_pair(), odds_weight=0.0)[0].item() == pytest.approx(2, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_odds_stay_finite_at_both_ends(dtype: torch.dtype) -> None:
    ends = torch.tensor([0.0, -1e-12, -800.0], dtype=dtype, requires_grad=True)
    odds_B = log_odds(ends)
    odds_B.sum().backward()
    assert ends.grad is not None and odds_B.isfinite().all() and ends.grad.isfinite().all()
    assert odds_B[2].item() == pytest.approx(-800)
