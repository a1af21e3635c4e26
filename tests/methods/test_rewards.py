"""Who scores, who labels and what is trained under each `reward=`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mt.costing.estimate import costs
from mt.errors import ConfigError
from mt.stages.evaluate_reward_bench import RewardBench
from mt.stages.judge import JudgeScoresOverNetwork
from mt.stages.models import ModelFolder
from mt.stages.rewards import (
    ConsensusReward,
    ConsensusScores,
    EnsembleReward,
    EnsembleScores,
    FunctionScores,
    JudgeReward,
    MixedRewards,
)
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import ConcatenateRows, ContrastPairs, MixPairs, SelectPairs
from mt.stages.train import TrainPolicy, TrainReward
from mt.workflow.store import Store
from tests.engines.tiny import tiny_reward
from tests.methods.plans import compiled, of, same
from tests.methods.test_mutual_taught import the


def test_trained_r_0_of_the_world_is_the_worlds_own() -> None:
    own = compiled()
    training = own.config.model_dump(mode="json")["data"]["reward_training"]
    settings = [f"reward.base_training.{name}={'null' if value is None else value}" for name, value in training.items()]
    trained = compiled("reward=train", *settings)
    assert [one.key for one in trained.plan.order] == [one.key for one in own.plan.order]


def test_trained_r_0_learns_from_the_datas_preferences_and_is_shared_by_seeds() -> None:
    one = compiled("reward=train", "reward.base_training.learning_rate=1e-4").graph
    base = the(TrainReward, one.base.reward)
    assert same(base.initial, one.base.policy)
    assert base.pairs.name == "world_preferences" and base.training.learning_rate == 1e-4
    assert same(the(TrainReward, one.iterations[1].reward).initial, base)
    assert same(the(Score, one.iterations[1].rewards).reward, base)
    other = compiled("reward=train", "reward.base_training.learning_rate=1e-4", "seed=7").graph
    assert same(base, other.base.reward)


def test_consensus_scores_every_e_step_and_labels_what_the_student_learns_from() -> None:
    base, *iterations = compiled("reward=consensus", "reward.initial=previous").graph.iterations
    assert isinstance(base.reward, ConsensusReward)
    for before, now in zip([base, *iterations], iterations, strict=False):
        assert same(the(ConsensusScores, now.rewards).samples, now.samples)
        labels = the(ConsensusScores, the(SelectPairs, now.self_training).rewards)
        assert same(labels.samples, the(SelectPairs, now.self_training).samples)
        training = the(TrainReward, now.reward)
        assert same(training.initial, base.policy if before is base else before.reward)


def test_a_frozen_consensus_trains_no_reward_model() -> None:
    one = compiled("reward=consensus", "rm_data=frozen", "reward.student=null")
    assert {iteration.reward.key for iteration in one.graph.iterations} == {one.graph.base.reward.key}
    assert not of(one, TrainReward) and len(of(one, TrainPolicy)) == 2
    assert same(one.graph.final.policy, compiled("reward=consensus", "method=iterative").graph.iterations[2].policy)


def test_consensus_may_score_later_e_steps_only() -> None:
    settings = ("reward.scores=later", "reward.student=model", "reward.labeler=current")
    plain, now = compiled().graph, compiled("reward=consensus", *settings).graph
    assert same(now.base.reward, plain.base.reward) and same(now.iterations[1].policy, plain.iterations[1].policy)
    assert same(now.iterations[1].reward, plain.iterations[1].reward), "the M-step goes on as without consensus"
    assert isinstance(now.iterations[2].rewards, ConsensusScores)
    labels = the(Score, the(SelectPairs, now.iterations[2].self_training).rewards)
    assert same(labels.reward, now.iterations[1].reward)


@pytest.mark.parametrize("method", ["offline", "iterative", "transfer"])
def test_the_first_e_step_of_every_method_is_scored_by_the_base_reward(method: str) -> None:
    one = compiled(f"method={method}", "reward=consensus", "rm_data=frozen")
    scores = [stage for stage in of(one, SelectPairs) if stage.source == "policy"]
    assert scores and all(isinstance(stage.rewards, ConsensusScores) for stage in scores)


def test_base_scores_keep_r_0_in_the_e_step_while_the_m_step_goes_on() -> None:
    frozen, now = compiled("rm_data=frozen").graph, compiled("reward.scores=base").graph
    assert [one.policy.key for one in now.iterations] == [one.policy.key for one in frozen.iterations]
    labels = the(Score, the(SelectPairs, now.iterations[2].self_training).rewards)
    assert same(labels.reward, the(TrainReward, now.iterations[1].reward))


def test_consensus_labels_the_self_training_pairs_of_both_and_nothing_else() -> None:
    plain = compiled().graph.iterations[1]
    for rm_data in ("consensus", "consensus_contrast", "consensus_mixed"):
        now = compiled(f"rm_data={rm_data}").graph.iterations[1]
        pairs, before = the(SelectPairs, now.self_training), the(SelectPairs, plain.self_training)
        assert same(now.policy, plain.policy) and same(pairs.samples, before.samples)
        assert pairs.selection == before.selection
        if rm_data == "consensus_mixed":
            consensus, reward = the(MixedRewards, pairs.rewards).rewards
            assert the(MixedRewards, pairs.rewards).weights == (0.5, 0.5)
            assert same(reward, before.rewards)
        else:
            consensus = pairs.rewards
        assert same(the(ConsensusScores, consensus).samples, before.samples)
        rows = the(TrainReward, now.reward).pairs
        if rm_data == "consensus_contrast":
            assert same(the(ContrastPairs, now.contrast), plain.contrast) and isinstance(rows, ConcatenateRows)
        else:
            assert now.contrast is None and same(rows, pairs)


def test_reward_bench_measures_the_student_but_no_consensus() -> None:
    one = compiled("reward=consensus", "eval=[reward_bench]")
    scored = [the(Score, stage.rewards).reward for stage in of(one, RewardBench)]
    assert [model.key for model in scored] == [iteration.reward.key for iteration in one.graph.iterations[1:]]


def test_every_model_of_an_ensemble_is_scored_by_and_retrained_by_a_seed_of_its_own() -> None:
    base, first, second = compiled("reward=ensemble", "reward.combine=min").graph.iterations
    members = the(EnsembleReward, base.reward).models
    assert len({the(TrainReward, member).seed for member in members}) == 3
    scores = the(EnsembleScores, first.rewards)
    assert [the(Score, one).reward.key for one in scores.rewards] == [member.key for member in members]
    assert scores.combine == "min"
    for iteration, labeler in ((first, base.reward), (second, first.reward)):
        now = [the(TrainReward, member) for member in the(EnsembleReward, iteration.reward).models]
        assert [one.initial.key for one in now] == [member.key for member in members]
        assert len({one.seed for one in now}) == 3 and len({one.pairs.key for one in now}) == 1
        labels = the(EnsembleScores, the(SelectPairs, iteration.self_training).rewards)
        assert [the(Score, one).reward.key for one in labels.rewards] == [one.key for one in labeler.models]


def test_an_ensemble_may_keep_some_of_its_models() -> None:
    base, first, _ = compiled("reward=ensemble", "reward.retrained=1").graph.iterations
    before, after = the(EnsembleReward, base.reward).models, the(EnsembleReward, first.reward).models
    assert [same(one, other) for one, other in zip(before, after, strict=True)] == [False, True, True]


def test_an_ensemble_of_given_models_needs_no_preferences(tmp_path: Path) -> None:
    folders = [tiny_reward(tmp_path / name, seed=seed) for seed, name in enumerate(["a", "a@step2"])]
    listed = f"reward.models=[{folders[0]},{folders[1]}]"
    one = compiled("reward=ensemble", listed, "reward.trained=0", f"store={tmp_path}", "rm_data=frozen")
    models = the(EnsembleReward, one.graph.base.reward).models
    assert [the(ModelFolder, model).location for model in models] == folders
    assert not [stage for stage in one.plan.order if stage.name == "world_preferences"]


def test_a_function_scores_and_labels_and_the_student_learns(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def reward(messages, response):\n    return 0.0\n")
    named = f"reward.function={tmp_path}/rules.py:reward"
    base, first, second = compiled("reward=function", named, f"store={tmp_path}").graph.iterations
    for iteration in (first, second):
        assert same(the(FunctionScores, iteration.rewards).function, base.reward)
        assert same(the(FunctionScores, the(SelectPairs, iteration.self_training).rewards).function, base.reward)
        assert same(the(TrainReward, iteration.reward).initial, base.policy)
    later = compiled("reward=function", named, f"store={tmp_path}", "reward.scores=current").graph.iterations
    assert same(the(Score, later[2].rewards).reward, later[1].reward), "r_1 scores the second E-step"


def test_a_judge_scores_by_the_runs_judge_or_by_another() -> None:
    gold = compiled("reward=judge").graph.base.reward
    assert the(JudgeReward, gold).oracle is not None
    one = compiled("reward=judge", "judge=openai", "judge.model=m", "iterations=1")
    scores = the(JudgeScoresOverNetwork, one.graph.iterations[1].rewards)
    assert scores.NEEDS == "network" and scores.judge.name == "openai" and len(scores.template or "") == 64
    calls = [cost.calls for cost in costs(one.plan, one.config, Store(Path("none"))) if cost.stage is scores]
    assert calls == [5 * one.config.model_dump()["data"]["sizes"]["prompts"] / 2], "K responses to half of the prompts"


@pytest.mark.parametrize(
    "method", ["mutual_taught", "iterative", "offline", "spin", "self_rewarding", "meta_rewarding", "transfer"]
)
def test_any_method_mixes_offline_preferences_into_its_e_step(method: str) -> None:
    chosen = (f"method={method}", "objective=dpo")
    plain, mixed = compiled(*chosen), compiled(*chosen, "policy.offline_share=0.25")
    trainings = of(mixed, TrainPolicy)
    assert len(trainings) == len(of(plain, TrainPolicy)) > 0
    for training in trainings:
        rows = the(MixPairs, training.selected)
        assert rows.share == 0.25 and rows.extra.name == "world_preferences"
        assert same(the(ReferenceLogProbs, training.reference).pairs, rows)
    first = the(MixPairs, mixed.graph.iterations[1].selected)
    assert method == "transfer" or same(first.pairs, plain.graph.iterations[1].selected)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("policy.offline_share=0.5", "objective=sppo"), r"policy\.offline_share=0\.5: objective=sppo needs win"),
        (("policy.offline_share=0.5", "objective=rest_em"), r"policy\.offline_share=0\.5: objective=best_of_k or rest"),
        (("policy.offline_share=0.5", "method=sail"), r"offline_share=0\.5: method=sail mixes them by method\.offline"),
        (("reward.head_weights=[0,0]",), r"reward\.head_weights=\[0\.0, 0\.0\]: all weights are 0"),
        (("reward.head_weights=[1,2]",), r"reward\.head_weights=\[1\.0, 2\.0\]: no reward model is given"),
        (("reward=consensus", "reward.student=null"), r"reward\.student=null: rm_data=both trains .*rm_data=frozen\."),
        (("reward=consensus", "reward.scores=later"), r"reward\.student=policy: reward\.scores=later .*Allowed: model"),
        (("reward.scores=later",), r"reward\.scores=later: reward=model is a reward model .*Allowed: current, base"),
        (
            ("reward=consensus", "eval=[alpaca_eval]", "judge=reward_model"),
            r"judge\.path=null: .*reward=consensus is none\. Allowed: a path, or reward=model, reward=train",
        ),
        (("reward=judge", "judge=reward_model"), r"judge\.path=null: the run has no base reward model"),
        (("reward=ensemble", "reward.trained=1"), r"reward\.models=\[\]: an ensemble has at least two models"),
        (("reward=ensemble", "reward.retrained=4"), r"reward\.retrained=4: more than there are\. Allowed: 0 to 3"),
        (
            ("reward=ensemble", "reward.models=[no/model,no/other]"),
            r"reward\.models=no/model: no such folder\. Allowed",
        ),
        (
            ("reward=judge", "judge=transformers", "judge.path=no/model"),
            r"judge\.revision=null: no commit, and 'no/model",
        ),
        (("reward=function", "reward.function=nowhere.py:f"), r"reward\.function=nowhere\.py:f: there is no nowhere"),
        (("reward=consensus", "eval=[alpaca_eval,pairwise]"), r"eval=pairwise: .*reward=consensus is none"),
        (
            ("reward=consensus", "eval=[held_out]", "eval.held_out.decoding.samples=1"),
            r"eval\.held_out\.decoding\.samples=1: reward=consensus compares",
        ),
        (("reward=consensus", "reward.similarity.name=bleu"), r"reward\.similarity\.name=bleu: no such name.*words"),
        (
            ("reward=consensus", "reward.student=nowhere/at@all"),
            r"reward\.student=nowhere/at@all: no such file or fold",
        ),
    ],
)
def test_impossible_rewards_are_refused_in_one_line(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compiled(*overrides)
    assert re.search(said, str(raised.value)), str(raised.value)
    assert "\n" not in str(raised.value)
