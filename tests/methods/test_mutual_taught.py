"""Algorithm 1, line by line."""

from __future__ import annotations

import itertools

import pytest

from mt.stages.gold import GoldLabels, GoldRewards
from mt.stages.prompts import PartitionPrompts, PromptBlock
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import ConcatenateRows, ContrastPairs, MixPairs, SelectPairs
from mt.stages.train import TrainPolicy, TrainReward
from mt.workflow.stage import Stage
from tests.methods.plans import compiled, of, same


def the(kind: type, stage: Stage | None):  # type: ignore[no-untyped-def]
    """The stage, which is of this kind."""
    assert isinstance(stage, kind), stage
    return stage


def test_prompts_are_split_once_into_the_iterations_parts_and_the_reward_models() -> None:
    parts = of(compiled(), PartitionPrompts)
    assert [(part.parts, part.index) for part in parts] == [(3, 0), (3, 2), (3, 1)]
    assert len({(part.prompts.key, part.seed) for part in parts}) == 1


@pytest.mark.parametrize("t", [1, 2, 3])
def test_e_step_samples_and_scores_with_the_models_before(t: int) -> None:
    graph = compiled("iterations=3").graph
    now, before = graph.iterations[t], graph.iterations[t - 1]
    selected = the(SelectPairs, now.selected)
    samples, rewards = the(Sample, selected.samples), the(Score, selected.rewards)
    assert same(samples.policy, before.policy)
    assert the(PartitionPrompts, samples.prompts).index == t - 1
    assert same(rewards.reward, before.reward)
    assert same(rewards.samples, samples)
    assert (selected.selection.name, selected.source) == ("length_controlled", "policy")
    training = the(TrainPolicy, now.policy)
    assert same(training.policy, before.policy)
    assert same(training.selected, selected)
    reference = the(ReferenceLogProbs, training.reference)
    assert same(reference.policy, before.policy)
    assert same(reference.pairs, selected)


def test_contrast_pairs_carry_the_labelers_rewards_where_the_loss_reads_margins() -> None:
    now, before = compiled("reward_loss=margin", "iterations=1").graph.iterations[1::-1]
    contrast = the(ContrastPairs, now.contrast)
    for samples, rewards in ((contrast.new, contrast.new_rewards), (contrast.old, contrast.old_rewards)):
        assert same(the(Score, rewards).reward, before.reward)
        assert same(the(Score, rewards).samples, samples)


@pytest.mark.parametrize("t", [1, 2, 3])
def test_m_step_starts_from_base_with_self_training_and_contrast_pairs_of_d_r(t: int) -> None:
    graph = compiled("iterations=3").graph
    now, before = graph.iterations[t], graph.iterations[t - 1]
    self_training, contrast = the(SelectPairs, now.self_training), the(ContrastPairs, now.contrast)
    own = the(Sample, self_training.samples)
    assert same(own.policy, now.policy)
    assert the(PartitionPrompts, own.prompts).index == 3
    assert same(the(Score, self_training.rewards).reward, before.reward)
    assert self_training.source == "self_training"
    assert same(contrast.new, own)
    assert same(the(Sample, contrast.old).policy, before.policy)
    assert same(the(Sample, contrast.old).prompts, own.prompts)
    training = the(TrainReward, now.reward)
    assert same(training.initial, graph.base.reward)
    union = the(ConcatenateRows, training.pairs)
    assert [table.key for table in union.tables] == [self_training.key, contrast.key]


def test_nothing_is_sampled_twice() -> None:
    one = compiled("iterations=3")
    drawn_from = [(sample.policy.key, sample.prompts.key) for sample in of(one, Sample)]
    assert len(drawn_from) == len(set(drawn_from)) == 3 + 4  # D_1, D_2, D_3; then D_R by π_0 … π_3
    first, second = (the(ContrastPairs, iteration.contrast) for iteration in one.graph.iterations[1:3])
    assert same(first.new, second.old)


def test_all_sampling_is_alike() -> None:
    assert len({(s.decoding, s.generator, s.seed) for s in of(compiled(), Sample)}) == 1
    decoding = of(compiled(), Sample)[0].decoding
    assert (decoding.samples, decoding.temperature, decoding.top_p) == (5, 0.8, 0.95)


def test_reference_base_is_the_base_policy_throughout() -> None:
    one = compiled("policy.reference=base")
    assert {logps.policy.key for logps in of(one, ReferenceLogProbs)} == {one.graph.base.policy.key}


def test_initial_previous_goes_on_from_the_reward_model_before() -> None:
    iterations = compiled("reward.initial=previous").graph.iterations
    for before, now in itertools.pairwise(iterations):
        assert same(the(TrainReward, now.reward).initial, before.reward)


def test_labeler_base_labels_self_training_by_the_base_reward_model() -> None:
    graph = compiled("reward.labeler=base").graph
    for iteration in graph.iterations[1:]:
        scores = the(Score, the(SelectPairs, iteration.self_training).rewards)
        assert same(scores.reward, graph.base.reward)
        assert scores.key != the(Score, iteration.rewards).key


@pytest.mark.parametrize(
    ("rm_data", "kind"), [("pm", SelectPairs), ("contrast", ContrastPairs), ("both", ConcatenateRows)]
)
def test_rm_data_chooses_what_the_reward_model_learns_from(rm_data: str, kind: type) -> None:
    for iteration in compiled(f"rm_data={rm_data}").graph.iterations[1:]:
        assert isinstance(the(TrainReward, iteration.reward).pairs, kind)
        assert (iteration.self_training is None) == (rm_data == "contrast")
        assert (iteration.contrast is None) == (rm_data == "pm")


def test_gold_labels_the_same_pairs_by_the_gold_judge_alone() -> None:
    both, gold = compiled(), compiled("rm_data=gold")
    for plain, control in zip(both.graph.iterations[1:2], gold.graph.iterations[1:2], strict=True):
        assert same(plain.policy, control.policy)
        assert same(the(GoldLabels, control.contrast).pairs, plain.contrast)
        assert same(the(SelectPairs, control.self_training).samples, the(SelectPairs, plain.self_training).samples)
        assert isinstance(the(SelectPairs, control.self_training).rewards, GoldRewards)
        assert isinstance(the(SelectPairs, control.selected).rewards, Score), "gold must never train the policy"


def test_the_oracle_scores_later_e_steps_by_gold_and_never_the_first() -> None:
    frozen, oracle = compiled("rm_data=frozen").graph, compiled("rm_data=oracle").graph
    assert same(oracle.iterations[1].policy, frozen.iterations[1].policy)
    assert same(oracle.final.reward, oracle.base.reward), "there is no M-step"
    assert isinstance(oracle.final.rewards, GoldRewards)
    assert same(oracle.final.rewards.samples, the(Score, frozen.final.rewards).samples)
    assert same(the(SelectPairs, oracle.final.selected).rewards, oracle.final.rewards)
    assert not same(oracle.final.policy, frozen.final.policy)


@pytest.mark.parametrize("rm_data", ["margin_filter", "confidence_weight"])
def test_a_label_filter_scores_both_sides_of_the_contrast_pairs_by_the_labeler(rm_data: str) -> None:
    both, filtered = compiled(), compiled(f"rm_data={rm_data}")
    plain, now = the(ContrastPairs, both.graph.iterations[1].contrast), filtered.graph.iterations[1]
    contrast = the(ContrastPairs, now.contrast)
    assert same(contrast.new, plain.new) and same(contrast.old, plain.old) and contrast.seed == plain.seed
    new, old = the(Score, contrast.new_rewards), the(Score, contrast.old_rewards)
    assert same(new.samples, contrast.new) and same(old.samples, contrast.old)
    assert same(new.reward, filtered.graph.base.reward) and same(old.reward, filtered.graph.base.reward)
    assert same(new, the(SelectPairs, now.self_training).rewards), "the labeler scores the new responses once"
    later = the(ContrastPairs, filtered.graph.iterations[2].contrast)
    assert same(the(Score, later.old_rewards).reward, now.reward)


def test_replay_mixes_the_preferences_of_the_base_reward_model_into_those_of_both() -> None:
    graph, both = compiled("rm_data=replay").graph, compiled().graph
    mixed = the(MixPairs, the(TrainReward, graph.iterations[1].reward).pairs)
    assert same(mixed.pairs, the(TrainReward, both.iterations[1].reward).pairs)
    assert same(mixed.extra, the(TrainReward, graph.base.reward).pairs)
    assert mixed.share == 0.9


def test_frozen_is_iterative_optimization_on_the_same_parts() -> None:
    frozen = compiled("rm_data=frozen").graph
    iterative = compiled("method=iterative", "objective=dpo").graph
    assert [one.policy.key for one in frozen.iterations] == [one.policy.key for one in iterative.iterations[:3]]
    assert {one.reward.key for one in frozen.iterations} == {frozen.base.reward.key}


def test_each_iteration_of_a_second_round_learns_from_the_models_of_that_iteration_of_the_first() -> None:
    base, *rounds = compiled("rounds=2").graph.iterations
    first, second = rounds[:2], rounds[2:]
    for before, now in zip(first, second, strict=True):
        samples = the(Sample, now.samples)
        assert same(samples.policy, before.policy)
        assert same(samples.prompts, the(Sample, before.samples).prompts)
        assert same(the(Score, now.rewards).reward, before.reward)
        assert same(the(SelectPairs, now.self_training).rewards.reward, before.reward)  # type: ignore[attr-defined]
    for previous, now in ((base, second[0]), (second[0], second[1])):
        assert same(the(TrainPolicy, now.policy).policy, previous.policy)
        contrast = the(ContrastPairs, now.contrast)
        assert same(the(Sample, contrast.new).policy, now.policy) and same(
            the(Sample, contrast.old).policy, previous.policy
        )
    assert {the(TrainReward, one.reward).initial.key for one in rounds} == {base.reward.key}


def test_a_second_round_may_learn_from_what_the_first_ended_with() -> None:
    base, *rounds = compiled("rounds=2", "method.round_data=last").graph.iterations
    first, second = rounds[:2], rounds[2:]
    assert [one.policy.key for one in compiled().graph.iterations[1:]] == [one.policy.key for one in first]
    samples = the(Sample, second[0].samples)
    assert same(samples.policy, first[-1].policy)
    assert same(samples.prompts, the(Sample, first[0].samples).prompts)
    assert same(the(Score, second[0].rewards).reward, first[-1].reward)
    assert same(the(TrainPolicy, second[0].policy).policy, base.policy)
    assert same(the(ReferenceLogProbs, the(TrainPolicy, second[0].policy).reference).policy, base.policy)
    assert same(the(Sample, the(ContrastPairs, second[0].contrast).old).policy, base.policy)
    assert same(the(TrainPolicy, second[1].policy).policy, second[0].policy)
    assert same(the(Sample, second[1].samples).policy, second[0].policy)
    assert same(the(Score, second[1].rewards).reward, second[0].reward)
    assert {the(TrainReward, one.reward).initial.key for one in rounds} == {base.reward.key}
    assert [one.index for one in rounds] == [1, 2, 3, 4]


def test_labels_say_where_in_the_algorithm_a_stage_belongs() -> None:
    one = compiled("rounds=2")
    labels = [str(one.plan.position(iteration.policy)) for iteration in one.graph.iterations]
    assert labels == ["base", *(f"round {r} · iteration {t} · E-step" for r in (1, 2) for t in (1, 2))]
    assert str(one.plan.position(one.graph.final.reward)) == "round 2 · iteration 2 · M-step"
    assert all(str(one.plan.position(stage)) for stage in one.plan.order)


def test_seeds_change_the_run_and_never_its_base_models() -> None:
    zero, one, world = compiled(), compiled("seed=1"), compiled("world_seed=1")
    assert same(zero.graph.base.policy, one.graph.base.policy)
    assert same(zero.graph.base.reward, one.graph.base.reward)
    own = {stage.key for stage in zero.plan.order} - {stage.key for stage in one.plan.order}
    assert {type(stage) for stage in zero.plan.order if stage.key in own} >= {
        PartitionPrompts,
        Sample,
        TrainPolicy,
        TrainReward,
    }
    assert not {stage.key for stage in zero.plan.order} & {stage.key for stage in world.plan.order}


@pytest.mark.parametrize("objective", ["simpo", "slic", "orpo", "rest_em", "best_of_k"])
def test_objectives_without_a_reference_plan_no_reference_log_probabilities(objective: str) -> None:
    one = compiled(f"objective={objective}")
    assert not of(one, ReferenceLogProbs)
    assert all(training.reference is None for training in of(one, TrainPolicy))


def test_with_a_part_size_a_third_iteration_computes_nothing_of_two_again() -> None:
    two, three = compiled("partition.part_size=100"), compiled("partition.part_size=100", "iterations=3")
    planned = {stage.key for stage in three.plan.order}
    assert all(stage.key in planned for stage in two.plan.order)
    assert [one.reward.key for one in two.graph.iterations] == [one.reward.key for one in three.graph.iterations[:3]]
    equal = {stage.key for stage in compiled("iterations=3").plan.order}
    assert not all(stage.key in equal for stage in compiled().plan.order), "equal parts become smaller"


def test_with_a_part_size_frozen_is_iterative_and_d_r_comes_last() -> None:
    frozen = compiled("rm_data=frozen", "partition.part_size=100").graph
    iterative = compiled("method=iterative", "objective=dpo", "partition.part_size=100").graph
    assert [one.policy.key for one in frozen.iterations] == [one.policy.key for one in iterative.iterations[:3]]
    last = the(Sample, iterative.final.samples)
    assert the(PromptBlock, last.prompts).index == 0
