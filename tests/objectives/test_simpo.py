import math

import pytest

from tests.objectives.example import column, loss, one_pair

SOFTPLUS_MINUS_1 = math.log(1 + math.exp(-1))


def test_by_hand() -> None:
    # means −10/5 = −2 and −12/4 = −3; 2·(−2 + 3) − 1 = 1
    loss_B, metrics = loss("simpo", one_pair(), beta=2.0, gamma=1.0)
    assert loss_B.item() == pytest.approx(SOFTPLUS_MINUS_1, abs=1e-12)
    assert [metrics[name].item() for name in ("reward_chosen", "reward_rejected", "margin")] == [-4, -6, 2]


def test_no_reference_is_needed() -> None:
    without = one_pair(reference_chosen_B=None, reference_rejected_B=None)
    assert (
        loss("simpo", without, beta=2.0, gamma=1.0)[0].item()
        == loss("simpo", one_pair(), beta=2.0, gamma=1.0)[0].item()
    )


def test_equal_means_leave_the_target_margin() -> None:
    same = one_pair(chosen_B=column(-15))  # −15/5 = −12/4
    assert loss("simpo", same, beta=2.0, gamma=1.0)[0].item() == pytest.approx(math.log(1 + math.e), abs=1e-12)
    assert loss("simpo", same, beta=2.0, gamma=0.0)[0].item() == pytest.approx(math.log(2), abs=1e-12)
