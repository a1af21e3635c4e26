from __future__ import annotations

import pytest

from mt.config.compose import CONF, compose_runs, groups, options, partial_settings
from mt.errors import ConfigError
from mt.methods.compile import compile_run

NEED_MORE = {("judge", "transformers"), ("judge", "vllm"), ("reward", "function")}
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
    ("override", "values"),
    [
        ("objective=glob(d*)", ["dpo"]),
        ("objective=glob([*po,kto],exclude=[c*,s*,o*])", ["dpo", "ipo", "kto", "xpo"]),
        ("objective=choice(dpo,ipo)", ["dpo", "ipo"]),
        ("objective=tag(mine,choice(dpo,ipo))", ["dpo", "ipo"]),
        ("seed=sort(3,1,2)", [1, 2, 3]),
        ("seed=sort(range(3),reverse=true)", [2, 1, 0]),
        ("seed=range(1,7,2)", [1, 3, 5]),
        ("objective.beta=range(0.25,1,0.25)", [0.25, 0.5, 0.75]),
        ("eval=[held_out],[pairwise]", None),
    ],
)
def test_a_sweep_has_the_values_of_hydras_grammar(override: str, values: list[object] | None) -> None:
    runs = compose_runs([override], multirun=True)
    key = override.partition("=")[0]
    if values is None:
        assert [run.config.eval.pairwise is not None for run in runs] == [False, True]
    elif key == "objective":
        assert [run.config.objective.name for run in runs] == values
    else:
        assert [run.config.seed if key == "seed" else run.config.objective.beta for run in runs] == values  # type: ignore[union-attr]


def test_a_shuffled_sweep_has_all_its_runs_in_the_same_order_each_time() -> None:
    orders = [[run.config.seed for run in compose_runs(["seed=shuffle(range(9))"], multirun=True)] for _ in range(2)]
    assert orders[0] == orders[1] != list(range(9))
    assert sorted(orders[0]) == list(range(9))


def test_experiments_are_chosen_by_every_form_of_a_sweep() -> None:
    listed = compose_runs(["experiment=table1,table2"], multirun=True)
    for form in ("experiment=choice(table1,table2)", "experiment=glob([table1,table2])"):
        assert [run.config for run in compose_runs([form], multirun=True)] == [run.config for run in listed]


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
    plans = [compile_run(run.config).plan for run in runs]
    keys = {stage.key: stage for plan in plans for stage in plan.order}
    first = [
        {s.key for s in plan.order if s.name == "train_policy" and plan.position(s).iteration == 1} for plan in plans
    ]
    assert len(set.union(*first)) == 3
    assert len(keys) < 0.65 * sum(len(plan.order) for plan in plans)


def test_every_field_of_the_configuration_is_documented() -> None:
    text = (CONF / "config.yaml").read_text()
    assert "§5.1" in text


def test_fields_of_a_group_that_is_null_are_set_one_by_one() -> None:
    lora = compose_runs(["policy.training.lora.rank=8"])[0].config.policy.training.lora
    assert lora is not None and (lora.rank, lora.alpha, lora.targets) == (8, 32, ["all-linear"])
    swept = compose_runs(["-m", "reward.training.lora.rank=4,8", "reward.training.lora.alpha=8"][1:], multirun=True)
    found = [one.config.reward.training.lora for one in swept]
    assert [(one.rank, one.alpha) for one in found if one] == [(4, 8), (8, 8)]
    assert compose_runs(["policy.training.lora=null"])[0].config.policy.training.lora is None


def test_a_choice_that_is_null_is_made_by_its_name_and_then_its_fields() -> None:
    selection = compose_runs(["reward.selection.name=margin"])[0].config.reward.selection
    assert selection == compose_runs(["selection=margin"])[0].config.selection
    words = ["rm_data.label_filter.name=margin", "rm_data.label_filter.margin=1.5"]
    assert compose_runs(words)[0].config.rm_data.model_dump()["label_filter"] == {"name": "margin", "margin": 1.5}


def test_a_setting_of_a_sweep_reaches_the_runs_that_have_it() -> None:
    runs = compose_runs(["experiment=table1", "method.eft=judged.jsonl"], multirun=True)
    reached = {run.config.method.name for run in runs if not run.left_out}
    assert reached == {"meta_rewarding"}
    (one,) = [run.config.method for run in runs if not run.left_out]
    assert one.model_dump()["eft"] == "judged.jsonl"
    assert partial_settings(runs) == [
        f"method.eft=judged.jsonl reaches 1 of {len(runs)} runs: the others have no such setting"
    ]


def test_a_setting_that_no_run_of_a_sweep_has_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective\.gama=1: no such setting"):
        compose_runs(["objective=dpo,simpo", "objective.gama=1"], multirun=True)
    with pytest.raises(ConfigError, match=r"method\.eft=x: the choices made here have no such"):
        compose_runs(["method=iterative", "method.eft=x"])
