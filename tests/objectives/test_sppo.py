import pytest
import torch

from mt.errors import ConfigError
from tests.objectives.example import column, loss, one_pair, random_pairs


def test_by_hand() -> None:
    # η = 1/β = 2: targets ±0.5 for log-ratios ±1: ½(0.5² + 0.5²) = 0.25
    loss_B, metrics = loss("sppo", one_pair(), beta=0.5)
    assert loss_B.item() == pytest.approx(0.25, abs=1e-12)
    assert metrics["margin"].item() == 1.0


def test_certain_winners_are_half_of_the_hard_loss() -> None:
    # p = 1 and 0: ½[(Δ_w − η/2)² + (Δ_l + η/2)²]
    sure = one_pair(chosen_win_probability_B=column(1), rejected_win_probability_B=column(0))
    assert loss("sppo", sure, beta=0.1)[0].item() == pytest.approx(0.5 * ((1 - 5) ** 2 + (-1 + 5) ** 2), abs=1e-12)


def test_a_tie_pulls_both_responses_to_the_reference() -> None:
    pairs = random_pairs(16, grad=True)
    tied = one_pair(
        chosen_B=pairs.chosen_B,
        rejected_B=pairs.rejected_B,
        reference_chosen_B=pairs.reference_chosen_B,
        reference_rejected_B=pairs.reference_rejected_B,
        chosen_win_probability_B=torch.full((16,), 0.5, dtype=torch.float64),
        rejected_win_probability_B=torch.full((16,), 0.5, dtype=torch.float64),
    )
    loss_B, _ = loss("sppo", tied, beta=0.1)
    loss_B.sum().backward()
    torch.testing.assert_close(pairs.chosen_B.grad, tied.log_ratios()[0].detach())


def test_pairs_without_win_probabilities_are_refused() -> None:
    with pytest.raises(ConfigError, match="chosen_win_probability_B=null"):
        loss("sppo", one_pair(chosen_win_probability_B=None), beta=0.1)
