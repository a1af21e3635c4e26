"""Agreement with TRL, in float64, wherever TRL has the objective."""

import pytest
import torch

from mt.objectives import PairLogps
from mt.reward_losses import BradleyTerry
from tests.objectives.example import loss, random_pairs
from tests.objectives.trl_losses import dpo_loss, kto_loss, odds_ratio_term, reward_loss, simpo_loss

CLOSE = {"abs": 1e-6, "rel": 0}


@pytest.fixture
def pairs() -> PairLogps:
    return random_pairs(16, seed=7)


def ours(name: str, pairs: PairLogps, **settings: object) -> float:
    return loss(name, pairs, **settings)[0].mean().item()


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_dpo(pairs: PairLogps, beta: float) -> None:
    assert ours("dpo", pairs, beta=beta, label_smoothing=0.0) == pytest.approx(
        dpo_loss(pairs, "sigmoid", beta=beta), **CLOSE
    )


def test_conservative_dpo_is_not_what_trl_calls_sigmoid(pairs: PairLogps) -> None:
    # TRL ignores label smoothing there; on one pair "aot" is the smoothed loss, as sorting does nothing.
    assert dpo_loss(pairs, "sigmoid", beta=0.1, label_smoothing=0.2) == dpo_loss(pairs, "sigmoid", beta=0.1)
    single = random_pairs(1, seed=3)
    theirs = dpo_loss(single, "aot", beta=0.1, label_smoothing=0.2)
    assert ours("dpo", single, beta=0.1, label_smoothing=0.2) == pytest.approx(theirs, **CLOSE)


def test_robust(pairs: PairLogps) -> None:
    theirs = dpo_loss(pairs, "robust", beta=0.1, label_smoothing=0.2)
    assert ours("robust", pairs, beta=0.1, flip_rate=0.2) == pytest.approx(theirs, **CLOSE)


def test_hinge(pairs: PairLogps) -> None:
    assert ours("hinge", pairs, beta=0.4) == pytest.approx(dpo_loss(pairs, "hinge", beta=0.4), **CLOSE)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_apo_zero(pairs: PairLogps, beta: float) -> None:
    assert ours("apo_zero", pairs, beta=beta) == pytest.approx(dpo_loss(pairs, "apo_zero", beta=beta), **CLOSE)


@pytest.mark.parametrize("tau", [0.01, 0.5])
def test_ipo_per_token(pairs: PairLogps, tau: float) -> None:
    assert ours("ipo", pairs, tau=tau, per_token=True) == pytest.approx(dpo_loss(pairs, "ipo", beta=tau), **CLOSE)


def test_sppo_with_certain_winners_is_half_of_the_hard_loss(pairs: PairLogps) -> None:
    ones = torch.ones(16, dtype=torch.float64)
    facts = (pairs.chosen_length_B, pairs.rejected_length_B, pairs.reference_chosen_B, pairs.reference_rejected_B)
    sure = PairLogps(pairs.chosen_B, pairs.rejected_B, *facts, ones, 0 * ones)
    assert 2 * ours("sppo", sure, beta=0.1) == pytest.approx(dpo_loss(sure, "sppo_hard", beta=0.1), **CLOSE)


def test_simpo(pairs: PairLogps) -> None:
    theirs_B = simpo_loss(pairs, beta=2.5, gamma=1.375)
    torch.testing.assert_close(loss("simpo", pairs, beta=2.5, gamma=1.375)[0], theirs_B, atol=1e-6, rtol=0)


def test_the_odds_ratio_of_orpo(pairs: PairLogps) -> None:
    ours_B = pairs.nll_B - loss("orpo", pairs, odds_weight=0.5)[0]
    torch.testing.assert_close(ours_B, odds_ratio_term(pairs, beta=0.5).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift", [0.7, -0.7])  # a positive and a clamped reference point
def test_kto(pairs: PairLogps, shift: float) -> None:
    mismatched_B = pairs.chosen_B.flip(0)
    reference_B = mismatched_B - shift
    given = PairLogps(
        pairs.chosen_B,
        pairs.rejected_B,
        pairs.chosen_length_B,
        pairs.rejected_length_B,
        pairs.reference_chosen_B,
        pairs.reference_rejected_B,
        whole_batch=(mismatched_B - reference_B).mean().clamp(min=0),
    )
    theirs = kto_loss(pairs, mismatched_B, reference_B, beta=0.3, weights=(1.0, 1.5))
    settings = {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5, "reference_point": "batch"}
    assert ours("kto", given, **settings) == pytest.approx(theirs, **CLOSE)


def test_the_reward_model(pairs: PairLogps) -> None:
    chosen_B, rejected_B = pairs.chosen_B / 5, pairs.rejected_B / 5
    theirs = reward_loss(chosen_B, rejected_B)
    assert BradleyTerry()(chosen_B, rejected_B)[0].mean().item() == pytest.approx(theirs, **CLOSE)
