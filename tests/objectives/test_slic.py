import pytest

from tests.objectives.example import column, loss, one_pair, random_pairs


def test_slic_by_hand() -> None:
    # max(0, 3 + 10 − 12) + 0.1·10 = 2
    assert loss("slic", one_pair(), margin=3.0, regularization=0.1)[0].item() == pytest.approx(2, abs=1e-12)


def test_slic_beyond_its_margin_only_regularises() -> None:
    assert loss("slic", one_pair(), margin=1.5, regularization=0.1)[0].item() == pytest.approx(1, abs=1e-12)
    assert loss("slic", one_pair(), margin=1.5, regularization=0.0)[0].item() == 0


def test_hinge_by_hand() -> None:
    # Δ_w − Δ_l = 2: 1 − 0.25·2 = 0.5, and nothing is left at β = 0.5
    assert loss("hinge", one_pair(), beta=0.25)[0].item() == pytest.approx(0.5, abs=1e-12)
    assert loss("hinge", one_pair(), beta=0.5)[0].item() == 0


def test_slic_is_the_hinge_without_a_reference() -> None:
    # δ·max(0, 1 − (log π_w − log π_l)/δ), Liu et al. 2023, below Eq. 9
    pair = one_pair(reference_chosen_B=column(0), reference_rejected_B=column(0))
    plain = loss("slic", pair, margin=3.0, regularization=0.0)[0].item()
    assert plain == pytest.approx(3 * loss("hinge", pair, beta=1 / 3)[0].item(), abs=1e-12)


def test_satisfied_pairs_have_no_gradient() -> None:
    pairs = random_pairs(32, grad=True)
    loss_B, metrics = loss("hinge", pairs, beta=0.5)
    loss_B.sum().backward()
    satisfied_B = metrics["margin"] > 1
    assert pairs.chosen_B.grad is not None
    assert satisfied_B.any() and (pairs.chosen_B.grad[satisfied_B] == 0).all()
    assert (pairs.chosen_B.grad[~satisfied_B] == -0.5).all()
