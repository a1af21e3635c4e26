"""Every family through the product, compared with plain transformers one row at a time."""

from __future__ import annotations

import pytest

from mt.engines.generation import open_generator
from tests.engines.settings import generator_config
from tests.models import checks, table
from tests.models.attention import LLAMA3
from tests.models.driven import Run, run
from tests.models.families import FAMILIES
from tests.models.family import Family

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def finished(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a family; where transformers has no reward model of it, with one of Llama 3."""
    place = tmp_path_factory.mktemp("family")
    judge = family if family.reward else LLAMA3
    policy, reward = family.policy(place / "policy"), judge.reward_model(place / "reward")
    kwargs = (family.template_kwargs, judge.template_kwargs)
    return run(Run(policy, reward, place, *kwargs), *family.settings, system=family.system)


def test_samples_come_from_the_models_own_distribution(finished: Run) -> None:
    checks.check_samples(finished)


def test_prompts_are_read_as_often_as_the_table_says(family: Family, finished: Run) -> None:
    with open_generator(generator_config(), finished.policy) as generator:
        assert generator.shares == (family.sampling == "shared prompt pass")


def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run) -> None:
    checks.check_reference(finished)


def test_rewards_equal_those_of_one_row_at_a_time(finished: Run) -> None:
    checks.check_rewards(finished)


def test_the_policy_takes_the_step_of_the_sampled_ids(finished: Run) -> None:
    checks.check_policy_step(finished)


def test_the_reward_model_takes_the_step_of_its_pairs(finished: Run) -> None:
    checks.check_reward_step(finished)


def test_the_page_of_the_families_is_current() -> None:
    assert table.PAGE.read_text("utf-8") == table.page(), "run: python -m tests.models.table"
