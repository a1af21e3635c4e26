import math

import pytest
import torch

from mt.choice import names, option
from mt.config.compose import compose_runs
from mt.reward_losses import BradleyTerry, RewardLoss
from tests.objectives.example import column

bradley_terry = BradleyTerry()


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


def test_a_margin_moves_the_threshold_and_never_lowers_it() -> None:
    loss = RewardLoss.model_validate({"name": "margin", "scale": 0.5})
    loss_B, _ = loss(column(2.0, 2.0), column(1.0, 1.0), margin_B=column(4.0, -4.0))
    # margins 0.5·4 = 2 and 0: log(1 + exp(-(1 - 2))) and log(1 + exp(-1))
    assert loss_B.tolist() == pytest.approx([math.log(1 + math.e), math.log(1 + math.exp(-1))], abs=1e-12)


def test_label_smoothing_is_the_mean_over_the_flips() -> None:
    loss = RewardLoss.model_validate({"name": "label_smoothing", "flip_rate": 0.25})
    loss_B, _ = loss(column(2.0), column(1.0))
    assert loss_B.item() == pytest.approx(0.75 * math.log(1 + math.exp(-1)) + 0.25 * math.log(1 + math.e), abs=1e-12)


def test_centering_punishes_the_sum_of_the_rewards() -> None:
    loss = RewardLoss.model_validate({"name": "centered", "coefficient": 0.01})
    loss_B, _ = loss(column(2.0), column(1.0))
    assert loss_B.item() == pytest.approx(math.log(1 + math.exp(-1)) + 0.01 * 9, abs=1e-12)


@pytest.mark.parametrize("name", names(RewardLoss))
def test_every_loss_of_conf_raises_the_chosen_and_lowers_the_rejected_reward(name: str) -> None:
    loss = compose_runs([f"reward_loss={name}"])[0].config.reward_loss
    assert type(loss) is option(RewardLoss, name)
    chosen_B, rejected_B = (column(0.3, -1.0, 2.0).requires_grad_() for _ in range(2))
    loss(chosen_B, rejected_B, margin_B=column(1.0, 0.5, 2.0))[0].sum().backward()
    assert chosen_B.grad is not None and rejected_B.grad is not None
    assert (chosen_B.grad < 0).all() and (rejected_B.grad > 0).all()
