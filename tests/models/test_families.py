"""Every family through the product, compared with plain transformers one row at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.engines.template import DEFAULT_DATE, TemplateConfig
from mt.engines.text import open_chat
from mt.run import main
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
    with generator_config().open(finished.policy) as generator:
        assert generator.shares == (family.sampling == "shared prompt pass")


def test_reference_log_probabilities_are_of_the_sampled_ids(finished: Run) -> None:
    checks.check_reference(finished)


def test_rewards_equal_those_of_one_row_at_a_time(finished: Run) -> None:
    checks.check_rewards(finished)


def test_the_policy_takes_the_step_of_the_sampled_ids(finished: Run) -> None:
    checks.check_policy_step(finished)


def test_the_reward_model_takes_the_step_of_its_pairs(finished: Run) -> None:
    checks.check_reward_step(finished)


def test_a_special_token_that_a_message_spells_stays_text(family: Family, finished: Run) -> None:
    model = finished.policy_at(finished.policy)
    template = TemplateConfig(file=None, fingerprint=None, kwargs=dict(family.template_kwargs), date=DEFAULT_DATE)
    chat = open_chat(finished.policy, template)
    for spelled in model.tokenizer.all_special_tokens:
        written, word = ([{"role": "user", "content": f"Why is {text} there?"}] for text in (spelled, "it"))
        found, expected = chat.prompt_ids(written), model.render(word, prompt=True)
        assert [i for i in found if i in model.specials] == [i for i in expected if i in model.specials]
        assert spelled in model.tokenizer.decode(found, skip_special_tokens=True)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.system])
def test_a_turn_that_the_template_refuses_is_named_before_anything_is_computed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = FAMILIES[name]
    judge = family if family.reward else LLAMA3
    policy, reward = family.policy(tmp_path / "policy"), judge.reward_model(tmp_path / "reward")
    refused = Run(policy, reward, tmp_path)
    assert main(refused.arguments(*family.settings, system=True)) == 2
    said = capsys.readouterr().err
    assert "prompts are refused" in said and "data.refused_prompts=drop" in said
    assert said.count("\n") == 1
    assert not refused.artifacts("sample")


def test_the_page_of_the_families_is_current() -> None:
    assert table.PAGE.read_text("utf-8") == table.page(), "run: python -m tests.models.table"
