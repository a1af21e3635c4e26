from __future__ import annotations

import re

import pytest

from mt.config.compose import CONF, compose_runs, groups, options
from mt.errors import ConfigError
from mt.methods.blueprint import blueprint

NEED_MORE = {("judge", "transformers"), ("judge", "vllm")}
"""Choices that say by themselves which setting the user has to add."""


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (g, o)
        for g in groups()
        for o in options(g)
        if (g, o) not in NEED_MORE and g not in ("experiment", "scale", "data")
    ],
)
def test_every_choice_composes(group: str, option: str) -> None:
    compose_runs([f"{group}=[{option}]" if group == "eval" else f"{group}={option}"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["objective=dpoo"], r"objective=dpoo: no such choice\. Allowed: .*dpo.*Did you mean 'dpo'\?"),
        (["objective.betta=1"], r"objective\.betta=1: no such setting.*Did you mean 'objective\.beta'\?"),
        (["objective=orpo", "objective.beta=1"], r"objective\.beta=1: the choices made .*another objective="),
        (["eval=[held_out]", "eval.alpaca_eval.prompts=9"], r"eval\.alpaca_eval\.prompts=9: the choices made"),
        (["sampling.samples=1"], r"sampling\.samples=1: .*greater than or equal to 2"),
        (["iterations=0"], r"iterations=0: .*greater than or equal to 1"),
        (["rounds=x"], r"rounds=x: .*integer"),
        (["seed=-1"], r"seed=-1: .*greater than or equal to 0"),
        (["+sampling.extra=1"], r"sampling\.extra=1: no such setting"),
        (["rm_data=gold", "data=jsonl", "data.path=x", "policy.path=p", "reward.path=r"], r"rm_data=gold: .*gold"),
        (["data=jsonl", "data.path=x"], r"policy\.path=None: .*Add policy\.path=DIR"),
        (["experiment=nope"], r"experiment=nope: no such choice"),
        (["eval=[hold_out]"], r"eval=hold_out: no such choice\..*Did you mean 'held_out'\?"),
        (["objective=3"], r"objective=3: no such choice\. Allowed: .*dpo"),
        (["objective=null"], r"objective=null: no such choice\. Allowed: .*dpo"),
        (["seed=0,1"], r"seed=0,1: several values make a sweep\. Add -m"),
        (["seed"], r"override=seed: not a setting\. Allowed: NAME=VALUE"),
        (["=3"], r"override==3: not a setting"),
        (
            ["data.path=ä.csv"],
            r"""data\.path=ä\.csv: cannot be read .*Put the value in quotes.*'data\.path="ä\.csv"'""",
        ),
        (["store="], r"store=: .*at least 1 character"),
        (["sampling.temperature=inf"], r"sampling\.temperature=inf: .*finite"),
    ],
)
def test_mistakes_are_named_in_one_line(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose_runs(overrides)
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_values_follow_the_family_of_the_scale() -> None:
    world = compose_runs([])[0].config
    paper = compose_runs(["scale.family=paper"])[0].config
    assert world.policy.training.learning_rate == 2e-4
    assert paper.policy.training.learning_rate == 7e-7  # Appendix A
    assert paper.policy.training.batch_size == 128  # Appendix A
    assert (paper.reward.training.learning_rate, paper.reward.training.batch_size) == (2e-6, 512)  # §5.1
    assert paper.objective.beta == 0.01  # §5.1
    assert paper.objective.nll_weight == 0


def test_a_sweep_is_a_product_and_names_each_run_once() -> None:
    runs = compose_runs(["objective=dpo,ipo", "seed=range(3)", "iterations=1"], multirun=True)
    assert len(runs) == 6
    assert {(r.config.objective.name, r.config.seed) for r in runs} == {
        (objective, seed) for objective in ("dpo", "ipo") for seed in range(3)
    }
    assert len(compose_runs(["seed=0,0"], multirun=True)) == 1


def test_a_sweep_with_value_overrides_equals_its_runs_composed_alone() -> None:
    swept = compose_runs(["seed=1,2", "objective=ipo", "policy.training.epochs=2"], multirun=True)
    alone = [compose_runs([f"seed={s}", "objective=ipo", "policy.training.epochs=2"])[0] for s in (1, 2)]
    assert [run.config for run in swept] == [run.config for run in alone]


def test_shared_stages_of_the_papers_sweep() -> None:
    """`objective=dpo,ipo,simpo rm_data=both,contrast`: one base sampling, three first policy trainings."""
    runs = compose_runs(["objective=dpo,ipo,simpo", "rm_data=both,contrast"], multirun=True)
    plans = [blueprint(run.config).plan for run in runs]
    keys = {stage.key: stage for plan in plans for stage in plan.order}
    first = [
        {s.key for s in plan.order if s.name == "train_policy" and "iteration 1" in plan.label(s)} for plan in plans
    ]
    assert len(set.union(*first)) == 3
    assert len(keys) < 0.65 * sum(len(plan.order) for plan in plans)


def test_every_field_of_the_configuration_is_documented() -> None:
    text = (CONF / "config.yaml").read_text()
    assert "§5.1" in text
