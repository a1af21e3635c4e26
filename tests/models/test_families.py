"""Every family through the product, compared with plain transformers one row at a time."""

from __future__ import annotations

import pytest

from tests.models import checks
from tests.models.attention import LLAMA3
from tests.models.driven import Run, run
from tests.models.families import FAMILIES

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=FAMILIES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a family; where transformers has no reward model of it, with one of Llama 3."""
    family, place = FAMILIES[request.param], tmp_path_factory.mktemp("family")
    judge = family if family.reward else LLAMA3
    policy, reward = family.policy(place / "policy"), judge.reward_model(place / "reward")
    kwargs = (family.template_kwargs, judge.template_kwargs)
    return run(Run(policy, reward, place, *kwargs), *family.settings, system=family.system)


def test_samples_come_from_the_models_own_distribution(finished: Run) -> None:
    checks.check_samples(finished)


def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run) -> None:
    checks.check_reference(finished)


def test_rewards_equal_those_of_one_row_at_a_time(finished: Run) -> None:
    checks.check_rewards(finished)


def test_the_policy_takes_the_step_of_the_sampled_ids(finished: Run) -> None:
    checks.check_policy_step(finished)


def test_the_reward_model_takes_the_step_of_its_pairs(finished: Run) -> None:
    checks.check_reward_step(finished)
