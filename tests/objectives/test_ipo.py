import pytest
import torch

from tests.objectives.example import loss, one_pair, random_pairs


def test_sums_by_hand() -> None:
    # h_w − h_l = 2; the target 1/(2τ) is 2 for τ = 0.25 and 1 for τ = 0.5
    assert loss("ipo", one_pair(), tau=0.25, per_token=False)[0].item() == pytest.approx(0, abs=1e-12)
    assert loss("ipo", one_pair(), tau=0.5, per_token=False)[0].item() == pytest.approx(1, abs=1e-12)


def test_means_by_hand() -> None:
    # h_w = 1/5, h_l = −1/4: (0.45 − 1)² = 0.3025
    loss_B, metrics = loss("ipo", one_pair(), tau=0.5, per_token=True)
    assert loss_B.item() == pytest.approx(0.3025, abs=1e-12)
    assert metrics["reward_chosen"].item() == pytest.approx(0.1, abs=1e-12)


def test_sums_and_means_agree_for_one_token() -> None:
    pair = one_pair(chosen_length_B=torch.tensor([1]), rejected_length_B=torch.tensor([1]))
    assert loss("ipo", pair, tau=0.1, per_token=True)[0].item() == loss("ipo", pair, tau=0.1, per_token=False)[0].item()


def test_a_large_tau_pulls_the_log_ratios_together() -> None:
    assert loss("ipo", one_pair(), tau=1e12, per_token=False)[0].item() == pytest.approx(4, abs=1e-9)


def test_the_gradient_turns_at_the_target_margin() -> None:
    pairs = random_pairs(32, grad=True)
    loss_B, metrics = loss("ipo", pairs, tau=0.5, per_token=False)
    loss_B.sum().backward()
    beyond_B = metrics["margin"] > 0.5  # τ·(h_w − h_l) > τ/(2τ)
    assert beyond_B.any() and not beyond_B.all()
    assert pairs.chosen_B.grad is not None and torch.equal(pairs.chosen_B.grad > 0, beyond_B)
