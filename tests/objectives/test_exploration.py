from typing import Any

import pytest
import torch

from mt.objectives.dpo import dpo
from mt.objectives.exploration import selm, xpo
from tests.objectives.example import column, one_pair, random_pairs


def test_selm_by_hand() -> None:
    # log-ratios 2 and −1: αβ·½(2 − 1) = 0.1·0.5·0.5
    pair = one_pair(reference_chosen_B=column(-12))
    plain = dpo(pair, beta=0.5, label_smoothing=0.0)[0]
    loss_B, metrics = selm(pair, beta=0.5, alpha=0.1)
    assert (loss_B - plain).item() == pytest.approx(0.025, abs=1e-12)
    assert metrics["exploration"].item() == pytest.approx(0.025, abs=1e-12)


def test_xpo_by_hand() -> None:
    # α·½(−10 − 12) = −1.1
    plain = dpo(one_pair(), beta=0.5, label_smoothing=0.0)[0]
    assert (xpo(one_pair(), beta=0.5, alpha=0.1)[0] - plain).item() == pytest.approx(-1.1, abs=1e-12)


@pytest.mark.parametrize("objective", [selm, xpo])
def test_the_bonus_lowers_the_likelihood_of_what_was_sampled(objective: Any) -> None:
    plain, explored = random_pairs(8, grad=True), random_pairs(8, grad=True)
    dpo(plain, beta=0.3, label_smoothing=0.0)[0].sum().backward()
    objective(explored, beta=0.3, alpha=0.1)[0].sum().backward()
    for name in ("chosen_B", "rejected_B"):
        assert (getattr(explored, name).grad > getattr(plain, name).grad).all()


@pytest.mark.parametrize("objective", [selm, xpo])
def test_without_optimism_it_is_dpo(objective: Any) -> None:
    pairs = random_pairs(8)
    torch.testing.assert_close(objective(pairs, beta=0.3, alpha=0.0)[0], dpo(pairs, beta=0.3, label_smoothing=0.0)[0])
