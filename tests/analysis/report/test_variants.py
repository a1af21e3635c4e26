"""Runs of a sweep are told apart by what differs; seeds alone make repetitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.report.record import Run
from mt.running.variants import incomparable, run_labels, variant_names
from tests.analysis.report import fixture


def run(**config: Any) -> Run:
    name = f"run-{sorted(map(str, config.items()))}"
    return Run(Path("x"), name, "finished", {"config": {**fixture.config(), **config}}, [], fixture.metrics())


def test_seeds_alone_make_one_variant() -> None:
    runs = [run(seed=0), run(seed=1)]
    names = variant_names(runs)
    assert names == ["", ""]
    assert run_labels(runs, names) == ["seed=0", "seed=1"]


def test_choices_are_named_by_their_name_alone() -> None:
    runs = [run(objective={"name": "dpo", "beta": 0.1}), run(objective={"name": "ipo", "tau": 0.5})]
    assert variant_names(runs) == ["objective=dpo", "objective=ipo"]


def test_settings_within_a_choice_are_named() -> None:
    runs = [run(objective={"name": "dpo", "beta": beta}) for beta in (0.1, 0.5)]
    assert variant_names(runs) == ["objective.beta=0.1", "objective.beta=0.5"]
    assert variant_names([run(policy={"sft": sft}) for sft in (True, False)]) == ["policy.sft=true", "policy.sft=false"]


def test_variants_that_much_sets_apart_are_named_after_their_first_runs_and_keep_their_seeds() -> None:
    runs = [run(seed=seed, **{f"setting_{at}": kind for at in range(7)}) for kind in "ab" for seed in (0, 1)]
    names = variant_names(runs)
    assert names == [runs[0].name, runs[0].name, runs[2].name, runs[2].name]
    assert run_labels(runs, names) == [one.name for one in runs]


def test_bookkeeping_makes_no_variant() -> None:
    assert variant_names([run(name="a", store="x"), run(name="b", store="y")]) == ["", ""]


def test_measures_that_differ_are_said() -> None:
    said = incomparable([run(judge={"name": "gold"}), run(judge={"name": "openai"})])
    assert len(said) == 1 and "judge" in said[0] and "not comparable" in said[0]
    assert incomparable([run(), run(seed=1)]) == []
    (all_three,) = incomparable([run(judge={"name": n}, scale=n, data={"name": n}) for n in ("gold", "openai")])
    assert all_three.startswith("The runs differ in data, judge and scale: ")


def test_what_only_some_runs_measure_sets_none_apart_where_they_are_compared() -> None:
    bench = {"held_out": {"prompts": 9}, "arena_hard": {"prompts": 5}}
    runs = [run(eval={**bench, "arena_hard": None}), run(eval=bench), run(eval={"held_out": {"prompts": 8}})]
    assert variant_names(runs[:2]) == ["", ""] and incomparable(runs[:2]) == []
    assert variant_names(runs[1:]) == ["eval.held_out.prompts=9", "eval.held_out.prompts=8"]
    assert variant_names(runs[:2], compared=False) == ["eval.arena_hard=null", "eval.arena_hard=set"]


def test_an_optional_group_is_named_by_what_differs_inside_of_it() -> None:
    loras = [None, {"rank": 8, "alpha": 32}, {"rank": 16, "alpha": 32}]
    runs = [run(policy={"training": {"lora": lora}}) for lora in loras]
    names = ["policy.training.lora=null", "policy.training.lora.rank=8", "policy.training.lora.rank=16"]
    assert variant_names(runs) == names
    assert variant_names([run(judge=None), run(judge={"name": "gold"})]) == ["judge=null", "judge=gold"]
