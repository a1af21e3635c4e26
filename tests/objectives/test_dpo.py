import math

import pytest
import torch

from tests.objectives.example import column, loss, one_pair, random_pairs

SOFTPLUS_MINUS_1 = math.log(1 + math.exp(-1))  # −log σ(1) = 0.31326…


def test_dpo_by_hand() -> None:
    # β(Δ_w − Δ_l) = 0.5·(1 − (−1)) = 1
    loss_B, metrics = loss("dpo", one_pair(), beta=0.5, label_smoothing=0.0)
    assert loss_B.item() == pytest.approx(SOFTPLUS_MINUS_1, abs=1e-12)
    assert [metrics[name].item() for name in ("reward_chosen", "reward_rejected", "margin")] == [0.5, -0.5, 1.0]
    assert metrics["accuracy"].item() == 1.0


def test_conservative_dpo_by_hand() -> None:
    # 0.9·softplus(−1) + 0.1·softplus(1), and softplus(1) = softplus(−1) + 1
    loss_B, _ = loss("dpo", one_pair(), beta=0.5, label_smoothing=0.1)
    assert loss_B.item() == pytest.approx(SOFTPLUS_MINUS_1 + 0.1, abs=1e-12)


def test_robust_dpo_by_hand() -> None:
    # (0.9·softplus(−1) − 0.1·softplus(1)) / 0.8 = softplus(−1) − 0.1/0.8
    loss_B, _ = loss("robust", one_pair(), beta=0.5, flip_rate=0.1)
    assert loss_B.item() == pytest.approx(SOFTPLUS_MINUS_1 - 0.125, abs=1e-12)


def test_robust_dpo_is_unbiased_under_flipped_labels() -> None:
    pair = one_pair()
    flipped = one_pair(
        chosen_B=pair.rejected_B,
        rejected_B=pair.chosen_B,
        reference_chosen_B=pair.reference_rejected_B,
        reference_rejected_B=pair.reference_chosen_B,
    )
    seen = [loss("robust", one, beta=0.5, flip_rate=0.3)[0].item() for one in (pair, flipped)]
    clean = loss("dpo", pair, beta=0.5, label_smoothing=0.0)[0].item()
    assert 0.7 * seen[0] + 0.3 * seen[1] == pytest.approx(clean, abs=1e-12)


def test_equal_log_probabilities_give_log_2() -> None:
    same = one_pair(chosen_B=column(-11), rejected_B=column(-11))
    assert loss("dpo", same, beta=0.5, label_smoothing=0.2)[0].item() == pytest.approx(math.log(2), abs=1e-12)
    assert loss("robust", same, beta=0.5, flip_rate=0.2)[0].item() == pytest.approx(math.log(2), abs=1e-12)


def test_the_limit_of_small_beta_is_log_2_without_gradient() -> None:
    pairs = random_pairs(8, grad=True)
    loss_B, _ = loss("dpo", pairs, beta=1e-9, label_smoothing=0.0)
    loss_B.sum().backward()
    torch.testing.assert_close(loss_B.detach(), torch.full_like(loss_B, math.log(2)), atol=1e-7, rtol=0)
    assert pairs.chosen_B.grad is not None and pairs.chosen_B.grad.abs().max() < 1e-8


def test_the_gradient_is_beta_times_the_doubt() -> None:
    pairs = random_pairs(8, grad=True)
    loss_B, metrics = loss("dpo", pairs, beta=0.3, label_smoothing=0.0)
    loss_B.sum().backward()
    # d(−log σ(m))/d chosen = −β σ(−m)
    expected_B = -0.3 * torch.sigmoid(-metrics["margin"])
    torch.testing.assert_close(pairs.chosen_B.grad, expected_B)
    torch.testing.assert_close(pairs.rejected_B.grad, -expected_B)
