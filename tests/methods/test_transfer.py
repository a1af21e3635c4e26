"""Table 3: another policy under the reward models of a Mutual-Taught run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.methods.compile import CompiledRun, compile_run
from mt.stages.models import HubModel
from mt.stages.sample import Sample
from mt.stages.score import Score
from mt.stages.train import TrainPolicy
from mt.stages.world import WorldPolicy
from tests.methods.plans import compiled, of, only, reach, same


@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_guide_is_the_very_reward_model_of_the_mutual_taught_run(k: int) -> None:
    taught = compiled("objective=dpo")
    one = compiled("method=transfer", "objective=dpo", f"method.reward_iteration={k}")
    assert same(one.graph.final.reward, taught.graph.iterations[k].reward)
    own = [stage for stage in of(one, Sample) if same(stage.policy, one.graph.base.policy)]
    assert len(own) == 3
    keys = {stage.key for stage in own}
    guides = {score.reward.key for score in of(one, Score) if score.samples.key in keys}
    assert guides == {taught.graph.iterations[k].reward.key}


def test_it_is_another_policy_trained_once() -> None:
    one, taught = compiled("method=transfer"), compiled()
    assert not same(one.graph.base.policy, taught.graph.base.policy)
    architectures = {stage.model.architecture for stage in of(one, WorldPolicy)}
    assert architectures == {"llama", "mistral"}
    assert isinstance(one.graph.final.policy, TrainPolicy)
    assert same(one.graph.final.policy.policy, one.graph.base.policy)
    assert len(one.graph.iterations) == 2


def test_under_the_base_reward_model_no_mutual_taught_iteration_is_planned() -> None:
    one, taught = compiled("method=transfer", "method.reward_iteration=0"), compiled()
    assert taught.graph.iterations[1].policy.key not in reach(*one.plan.targets)


def test_a_template_file_is_the_taught_policys_and_its_other_settings_are_both_policies(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ messages }}")
    settings = (f"policy.chat_template={tmp_path}/mine.jinja", "policy.template_date=2025-01-01")
    one = compiled("method=transfer", *settings)
    templates = {stage.key: stage.template for stage in of(one, TrainPolicy)}
    other = templates.pop(one.graph.final.policy.key)
    assert (other.file, other.fingerprint, other.date) == (None, None, "2025-01-01")
    assert {(found.file, found.date) for found in templates.values()} == {(f"{tmp_path}/mine.jinja", "2025-01-01")}


def test_a_reward_model_that_the_guide_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"method\.reward_iteration=3: .* reward models 0 to 2"):
        compiled("method=transfer", "method.reward_iteration=3")
    assert len(compiled("method=transfer", "method.reward_iteration=3", "method.guide_iterations=3").plan.order) > 20


def record(folder: Path, one: CompiledRun, **facts: Any) -> str:
    folder.mkdir(parents=True)
    text = {"state": "finished", "config": one.config.model_dump(mode="json")}
    (folder / "record.json").write_text(json.dumps(text | facts))
    return f"method.source={folder}"


def test_a_finished_run_guides_with_its_own_settings(tmp_path: Path) -> None:
    taught = compiled("objective=ipo", "iterations=1", "seed=7")
    source = record(tmp_path / "run", taught)
    one = compiled("method=transfer", "objective=dpo", "method.reward_iteration=1", source)
    assert same(one.graph.final.reward, taught.graph.iterations[1].reward)


@pytest.mark.parametrize(
    ("overrides", "facts", "said"),
    [
        ((), {"state": "interrupted"}, "a mutual_taught run in state 'interrupted'"),
        (("method=offline",), {}, "a offline run in state 'finished'"),
        (("store=elsewhere",), {}, "its models lie in store=elsewhere"),
    ],
)
def test_a_source_that_cannot_guide_is_refused(
    tmp_path: Path, overrides: tuple[str, ...], facts: dict[str, Any], said: str
) -> None:
    source = record(tmp_path / "run", compiled(*overrides), **facts)
    with pytest.raises(ConfigError, match=said):
        compiled("method=transfer", source)


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"method\.source=.*/none: there is no run here.*python -m mt\.run"):
        compiled("method=transfer", f"method.source={tmp_path}/none")


def test_a_record_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, facts in {"old": {"config": {"seed": 0}}, "cut": {"config": None}}.items():
        with pytest.raises(ConfigError, match=r"its record cannot be read \(.*\)\. Run it again") as error:
            compiled("method=transfer", record(tmp_path / name, compiled(), **facts))
        assert "\n" not in str(error.value)


def test_a_policy_that_taught_the_reward_models_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mistralai/.*taught this very policy.*scale=llama3_8b"):
        compile_run(compose_runs(["scale=mistral_7b", "method=transfer", "eval=[]"])[0].config)


def test_at_paper_scale_mistral_learns_from_the_reward_models_of_llamas_run() -> None:
    one = compile_run(compose_runs(["scale=llama3_8b", "method=transfer", "eval=[]"])[0].config)
    assert isinstance(one.graph.base.policy, HubModel)
    assert one.graph.base.policy.fingerprint.startswith("mistralai/Mistral-7B-Instruct-v0.2@")
    names = {stage.fingerprint.partition("@")[0] for stage in of(one, HubModel)}
    assert "meta-llama/Meta-Llama-3-8B-Instruct" in names
    with pytest.raises(ConfigError, match=r"method\.policy=null: data=ultrafeedback comes without a second policy"):
        compile_run(compose_runs(["scale=small_gpu", "method=transfer", "eval=[]"])[0].config)
    assert only([s for s in of(one, TrainPolicy) if same(s, one.graph.final.policy)])
