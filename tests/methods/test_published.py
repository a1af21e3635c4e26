"""The published version of the method: which stages a run of it has, what waits for its decisions, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.errors import ConfigError
from mt.running.checks import lacking
from mt.selection.label_filters.deviation import Deviation
from mt.stages.checkpoints import SampleCheckpoints, SelectPolicy
from mt.stages.prompts import RandomPrompts
from mt.stages.sample import Sample
from mt.stages.score import Score
from mt.stages.select import ContrastPairs
from mt.stages.train import TrainPolicyCheckpoints
from tests.methods.plans import compiled, of, same
from tests.methods.test_mutual_taught import the


def test_the_published_version_chooses_among_checkpoints_and_filters_contrast_pairs() -> None:
    one = compiled("policy.checkpoint=win_rate", "rm_data=published", "policy.checkpoint.prompts=40")
    base, first, second = one.graph.iterations
    prompts = {stage.key for stage in of(one, RandomPrompts)}
    assert len(prompts) == 1, "D_MS is the same in every iteration"
    for before, now in ((base, first), (first, second)):
        chosen = the(SelectPolicy, now.policy)
        training = the(TrainPolicyCheckpoints, chosen.checkpoints)
        assert same(training.policy, before.policy) and same(training.selected, now.selected)
        assert same(chosen.policy, before.policy)
        theirs, own = the(Score, chosen.rewards), the(Score, chosen.rewards_before)
        assert same(theirs.reward, before.reward) and same(own.reward, before.reward)
        samples, answers = the(SampleCheckpoints, theirs.samples), the(Sample, own.samples)
        assert same(samples.checkpoints, training) and same(answers.policy, before.policy)
        assert {samples.prompts.key, answers.prompts.key} == prompts
        assert samples.decoding == answers.decoding and answers.decoding.samples == 1
        assert same(the(Sample, the(ContrastPairs, now.contrast).new).policy, chosen)
        assert the(ContrastPairs, now.contrast).label_filter == Deviation(name="deviation", deviations=1)
    plain = compiled("rm_data=published")
    assert same(plain.graph.iterations[1].selected, first.selected)
    assert not of(plain, SelectPolicy) and set(plain.plan.decisions.values()) <= {frozenset()}


def test_what_waits_for_a_decision_is_the_rest_of_the_run_without_that_iterations_own_evaluation() -> None:
    one = compiled("policy.checkpoint=win_rate", "eval=[held_out,alpaca_eval,pairwise]", "iterations=3")
    iterations, decisions = one.graph.iterations, one.plan.decisions
    second = iterations[2].policy.key
    waiting = {stage.key for stage in one.plan.order if second in decisions[stage.key]}
    assert {iterations[2].reward.key, iterations[3].policy.key, iterations[3].reward.key} <= waiting
    measured = {(e.iteration, e.model, type(e.stage).__name__) for e in one.evaluations if e.stage.key not in waiting}
    assert {t for t, _, _ in measured} == {0, 1, 2}
    assert {name for t, model, name in measured if (t, model) == (2, "policy")} == {
        "SelectPolicy", "ProxyReward", "GoldPolicyMetrics", "LabelAccuracy", "AlpacaEval", "PairwiseWinRate",
    }  # fmt: skip
    assert not [name for t, model, name in measured if (t, model) == (2, "reward")], "r_2 is not trained"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["method=iterative"],
            r"^policy\.checkpoint=win_rate: method=iterative keeps the last one\. Allowed: last, or",
        ),
        (["rounds=2"], r"^rounds=2: policy\.checkpoint=win_rate may stop a round"),
        (["policy.checkpoint.decoding.samples=2"], r"^policy\.checkpoint\.decoding\.samples=2: .* Allowed: 1\."),
        (["policy.checkpoint.threshold=60"], r"^policy\.checkpoint\.threshold=60: too large\. Allowed: .* at most 1"),
    ],
)
def test_what_model_selection_cannot_be_combined_with_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compiled("policy.checkpoint=win_rate", *overrides)


def test_a_trainer_that_publishes_its_last_model_only_is_refused(tmp_path: Path) -> None:
    run = compiled("policy.checkpoint=win_rate", "trainer=trl", f"store={tmp_path}")
    (said,) = lacking(run.plan, run.store)
    assert said.startswith("trainer=trl: it publishes the last model only. Allowed: inline, torchrun")
