"""Verifiable English as a source: what a run on it is made of, and a whole run with a tiny policy."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.methods.compile import CompiledRun, compile_run
from mt.run import main
from mt.running.checks import check
from mt.stages.gold import GoldLabels, PeoplesLabels
from mt.stages.instructions import BestOverWorst, InstructionPrompts
from mt.stages.sample import Sample
from mt.stages.train import TrainReward
from tests.engines.tiny import tiny_policy
from tests.methods.plans import of, only

SMALL = [
    "scale=smollm2",
    "data.sizes.prompts=30",
    "data.sizes.preferences=12",
    "data.sizes.benchmark=12",
    "sampling.samples=3",
    "sampling.max_new_tokens=8",
    "sampling.max_length=120",
    "eval.held_out.prompts=8",
    "eval.held_out.decoding.samples=2",
    "policy.training.batch_size=4",
    "reward.training.batch_size=4",
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("tiny") / "policy")


def compiled(policy: Path, *overrides: str) -> CompiledRun:
    return compile_run(compose_runs([*SMALL, f"policy.path={policy}", *overrides])[0].config)


def test_the_base_reward_model_learns_from_the_base_policys_own_responses(policy: Path) -> None:
    one = compiled(policy)
    labels = only(of(one, PeoplesLabels))
    assert isinstance(labels.samples, Sample)
    prompts = labels.samples.prompts
    assert isinstance(prompts, InstructionPrompts) and prompts.split == "preferences"
    first = one.graph.base.reward
    assert isinstance(first, TrainReward)
    assert (first.initial.key, first.pairs.key) == (one.graph.base.policy.key, labels.key)
    assert labels.samples.policy.key == one.graph.base.policy.key


def test_base_models_and_benchmarks_do_not_follow_the_runs_seed(policy: Path) -> None:
    one, other = compiled(policy), compiled(policy, "seed=1")
    assert one.graph.base.reward.key == other.graph.base.reward.key
    assert only(of(one, BestOverWorst)).key == only(of(other, BestOverWorst)).key
    assert one.graph.final.policy.key != other.graph.final.policy.key


def test_the_gold_control_labels_by_the_checks(policy: Path) -> None:
    one = compiled(policy, "rm_data=gold", "eval=[held_out]")
    assert len(of(one, GoldLabels)) == 2
    assert {stage.language.gold_margin for stage in of(one, GoldLabels)} == {0.05}


def test_what_nobody_has_written_is_refused(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data=instructions: it comes without"):
        compiled(policy, "method=spin")
    with pytest.raises(ConfigError, match=r"method\.eft=null: data=instructions comes without judgments"):
        check(compiled(policy, "method=meta_rewarding", f"store={tmp_path}/store", f"runs={tmp_path}/runs"))


def test_a_run_on_verifiable_english_has_gold_metrics(policy: Path, tmp_path: Path) -> None:
    where = [f"policy.path={policy}", f"store={tmp_path}/store", f"runs={tmp_path}/runs", "name=tiny"]
    eval_ = "eval=[held_out,alpaca_eval,arena_hard,reward_bench,in_distribution,pairwise]"
    few = ["eval.alpaca_eval.prompts=6", "eval.arena_hard.prompts=6", "iterations=1"]
    assert main([*SMALL, *where, eval_, *few, "scorer.max_length=120"]) == 0
    with (tmp_path / "runs" / "tiny" / "metrics.csv").open(newline="") as file:
        measured = {(row["benchmark"], row["metric"]) for row in csv.DictReader(file)}
    assert {("gold", name) for name in ("mean_reward", "win_rate", "accuracy", "best_of_k")} <= measured
    assert {("alpaca_eval", "win_rate"), ("arena_hard", "score"), ("reward_bench", "average")} <= measured
    assert ("alpaca_eval", "lc_win_rate") not in measured, "its baseline has one style only"
