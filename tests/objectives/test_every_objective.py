"""What holds for every objective."""

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from mt.choice import option
from mt.config.compose import options
from mt.errors import ConfigError
from mt.objectives import Objective, PairLogps, ResponseLogps
from tests.objectives.example import NAMES, PAIRWISE, objective, one_pair, random_pairs, random_responses

Batch = PairLogps | ResponseLogps


def batch_for(name: str, size: int = 6) -> Batch:
    return random_pairs(size, grad=True) if option(Objective, name).learns_from == "pairs" else random_responses(size)


def rows(batch: Batch, index: Any) -> Batch:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return replace(batch, **{name: value[index] for name, value in values.items() if value is not None})


@pytest.mark.parametrize("name", NAMES)
def test_one_loss_and_detached_metrics_per_row(name: str) -> None:
    loss_B, metrics = objective(name)(batch_for(name))
    assert loss_B.shape == (6,) and loss_B.isfinite().all()
    assert all(metric.shape == (6,) and not metric.requires_grad for metric in metrics.values())
    assert {"log_prob_chosen", "nll"} <= set(metrics)


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairs_report_rewards_margin_and_accuracy(name: str) -> None:
    _, metrics = objective(name)(random_pairs(6))
    torch.testing.assert_close(metrics["margin"], metrics["reward_chosen"] - metrics["reward_rejected"])
    assert torch.equal(metrics["accuracy"].bool(), metrics["margin"] > 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_depend_on_its_batch(name: str) -> None:
    batch = batch_for(name)
    whole_B, _ = objective(name)(batch)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(objective(name)(rows(batch, order))[0], whole_B[order])
    single = [objective(name)(rows(batch, slice(i, i + 1)))[0] for i in range(6)]
    torch.testing.assert_close(torch.cat(single), whole_B)


def test_only_kto_may_couple_pairs() -> None:
    kto = objective("kto", reference_point="batch")
    assert [name for name in NAMES if objective(name).couples_pairs] == [] and kto.couples_pairs
    high = one_pair(reference_chosen_B=torch.tensor([-15.0]), reference_rejected_B=torch.tensor([-15.0]))
    both = PairLogps(
        *(
            None if one is None else torch.cat([one, other])
            for one, other in (
                (getattr(one_pair(), field.name), getattr(high, field.name)) for field in fields(PairLogps)
            )
        )
    )
    assert kto(both)[0][0] != kto(one_pair())[0][0]


# Below its target margin every objective raises the chosen response; those without a likelihood term of their own
# lower the rejected one. KTO's two halves, and SPPO's, look at one response each.
@pytest.mark.parametrize("name", [name for name in PAIRWISE if name not in ("xpo", "selm")])
def test_gradients_raise_the_chosen_and_lower_the_rejected(name: str) -> None:
    start = random_pairs(6, grad=True)
    at_reference = replace(
        start, reference_chosen_B=start.chosen_B.detach(), reference_rejected_B=start.rejected_B.detach()
    )
    objective(name)(at_reference)[0].sum().backward()
    assert start.chosen_B.grad is not None and start.rejected_B.grad is not None
    assert (start.chosen_B.grad < 0).all() and (start.rejected_B.grad > 0).all()


@pytest.mark.parametrize("name", PAIRWISE)
def test_the_likelihood_term_counts_tokens_of_the_chosen_response(name: str) -> None:
    plain_B, _ = objective(name)(random_pairs(6))
    added_B, metrics = objective(name, nll_weight=0.5)(random_pairs(6))
    pairs = random_pairs(6)
    torch.testing.assert_close(added_B - plain_B, -0.5 * pairs.chosen_B / pairs.chosen_length_B)
    torch.testing.assert_close(metrics["nll"], -pairs.chosen_B / pairs.chosen_length_B)


@pytest.mark.parametrize("name", NAMES)
def test_weights_multiply_the_whole_loss(name: str) -> None:
    batch = batch_for(name)
    weight_B = torch.arange(6, dtype=torch.float64)
    plain_B, _ = objective(name)(batch)
    torch.testing.assert_close(objective(name)(replace(batch, weight_B=weight_B))[0], weight_B * plain_B)


@pytest.mark.parametrize("name", PAIRWISE)
def test_needs_are_true(name: str) -> None:
    one, pairs = objective(name), random_pairs(6)
    bare = replace(pairs, reference_chosen_B=None, reference_rejected_B=None)
    doubtful = replace(pairs, chosen_win_probability_B=None, rejected_win_probability_B=None)
    for needed, batch in ((one.needs_reference, bare), (one.needs_win_probabilities, doubtful)):
        if needed:
            with pytest.raises(ConfigError, match="=null: the objective needs it"):
                one(batch)
        else:
            one(batch)


def test_an_objective_and_its_needs_are_read_without_torch() -> None:
    program = (
        "import sys; from mt.choice import names, option; from mt.objectives import Objective;"
        "found = [option(Objective, name).needs_reference for name in names(Objective)];"
        "sys.exit('torch' in sys.modules or not found)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_class_has_a_file_of_settings_and_every_file_a_class() -> None:
    assert {objective(name).name for name in NAMES} == set(NAMES)  # objective() reads conf/objective
    assert len(options("objective")) >= len(NAMES)
