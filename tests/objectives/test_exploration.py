import pytest
import torch

from tests.objectives.example import column, loss, one_pair, random_pairs


def test_selm_by_hand() -> None:
    # log-ratios 2 and −1: αβ·½(2 − 1) = 0.1·0.5·0.5
    pair = one_pair(reference_chosen_B=column(-12))
    plain = loss("dpo", pair, beta=0.5, label_smoothing=0.0)[0]
    loss_B, metrics = loss("selm", pair, beta=0.5, alpha=0.1)
    assert (loss_B - plain).item() == pytest.approx(0.025, abs=1e-12)
    assert metrics["exploration"].item() == pytest.approx(0.025, abs=1e-12)


def test_xpo_by_hand() -> None:
    # α·½(−10 − 12) = −1.1
    plain = loss("dpo", one_pair(), beta=0.5, label_smoothing=0.0)[0]
    assert (loss("xpo", one_pair(), beta=0.5, alpha=0.1)[0] - plain).item() == pytest.approx(-1.1, abs=1e-12)


@pytest.mark.parametrize("name", ["selm", "xpo"])
def test_the_bonus_lowers_the_likelihood_of_what_was_sampled(name: str) -> None:
    plain, explored = random_pairs(8, grad=True), random_pairs(8, grad=True)
    loss("dpo", plain, beta=0.3, label_smoothing=0.0)[0].sum().backward()
    loss(name, explored, beta=0.3, alpha=0.1)[0].sum().backward()
    for side in ("chosen_B", "rejected_B"):
        assert (getattr(explored, side).grad > getattr(plain, side).grad).all()


@pytest.mark.parametrize("name", ["selm", "xpo"])
def test_without_optimism_it_is_dpo(name: str) -> None:
    pairs = random_pairs(8)
    plain_B, _ = loss("dpo", pairs, beta=0.3, label_smoothing=0.0)
    torch.testing.assert_close(loss(name, pairs, beta=0.3, alpha=0.0)[0], plain_B)
