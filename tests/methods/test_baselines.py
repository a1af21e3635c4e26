"""Offline and iterative optimization, and the objectives that imitate."""

from __future__ import annotations

import itertools

import pytest

from mt.config.compose import options
from mt.methods.compile import CompiledRun
from mt.stages.prompts import PartitionPrompts
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import ConcatenateRows, SelectDemonstrations, SelectPairs
from mt.stages.train import TrainPolicy, TrainReward
from tests.methods.plans import compiled, of, only, same


def own_reward_trainings(one: CompiledRun) -> list[TrainReward]:
    return [stage for stage in of(one, TrainReward) if not same(stage, one.graph.base.reward)]


def test_iterative_scores_every_part_with_the_base_reward_model() -> None:
    one = compiled("method=iterative")
    base, *iterations = one.graph.iterations
    assert len(iterations) == 3
    for t, (before, now) in enumerate(itertools.pairwise([base, *iterations])):
        assert (
            isinstance(now.samples, Sample) and isinstance(now.rewards, Score) and isinstance(now.policy, TrainPolicy)
        )
        assert same(now.samples.policy, before.policy)
        assert isinstance(now.samples.prompts, PartitionPrompts) and now.samples.prompts.index == t
        assert same(now.rewards.reward, base.reward)
        assert same(now.policy.policy, before.policy)
        assert same(now.reward, base.reward)
    assert not own_reward_trainings(one)


def test_offline_samples_each_part_as_iteration_one_does() -> None:
    one = compiled("method=offline", "objective=dpo")
    union = only(of(one, ConcatenateRows))
    assert len(union.tables) == 3
    first = compiled("method=iterative", "objective=dpo").graph.iterations[1]
    tables = [table for table in union.tables if isinstance(table, SelectPairs)]
    assert same(tables[0], first.selected)
    assert {sample.policy.key for sample in of(one, Sample)} == {one.graph.base.policy.key}
    assert {score.reward.key for score in of(one, Score)} == {one.graph.base.reward.key}
    policy = only(of(one, TrainPolicy))
    assert same(policy, one.graph.final.policy) and same(policy.policy, one.graph.base.policy)
    assert isinstance(policy.reference, ReferenceLogProbs)
    assert same(policy.reference.policy, one.graph.base.policy)
    assert same(policy.reference.pairs, union)


def test_offline_and_mutual_taught_share_the_base_policys_samples() -> None:
    offline, taught = compiled("method=offline", "objective=dpo"), compiled()
    keys = {sample.key for sample in of(taught, Sample)}
    assert sum(sample.key in keys for sample in of(offline, Sample)) == 2  # of D_1, and of D_R as "old"


@pytest.mark.parametrize("objective", options("objective"))
def test_every_objective_plans_what_it_needs_and_no_more(objective: str) -> None:
    one = compiled("method=iterative", f"objective={objective}")
    facts, trainings = one.config.objective, of(one, TrainPolicy)
    assert len(trainings) == 3
    assert all((training.reference is not None) == facts.needs_reference for training in trainings)
    kind = SelectPairs if facts.learns_from == "pairs" else SelectDemonstrations
    assert all(isinstance(training.selected, kind) for training in trainings)


@pytest.mark.parametrize(("objective", "rule"), [("rest_em", "reward_weighted"), ("best_of_k", "best_of_k")])
def test_imitation_selects_demonstrations_for_the_policy_and_pairs_for_the_reward_model(
    objective: str, rule: str
) -> None:
    one = compiled(f"objective={objective}")
    assert [stage.selection.name for stage in of(one, SelectDemonstrations)] == [rule, rule]
    assert [stage.source for stage in of(one, SelectPairs)] == ["self_training", "self_training"]
    union = only(of(compiled("method=offline", f"objective={objective}"), ConcatenateRows))
    assert union.rows == "demonstrations"


@pytest.mark.parametrize("rule", ["best_worst", "rejection", "margin", "tiers"])
def test_a_selection_changes_the_pairs_and_nothing_before_them(rule: str) -> None:
    plain, other = compiled("method=iterative"), compiled("method=iterative", f"selection={rule}")
    first, changed = plain.graph.iterations[1], other.graph.iterations[1]
    assert same(first.samples, changed.samples) and same(first.rewards, changed.rewards)
    assert not same(first.selected, changed.selected)
