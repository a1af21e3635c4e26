"""What the paper's benchmarks compare."""

from __future__ import annotations

from mt.stages.evaluate_judged import PairwiseWinRate
from mt.stages.judge import Judge, SelectBestResponse
from mt.stages.prompts import FirstPrompts
from mt.stages.sample import Sample
from mt.stages.score import Score
from tests.methods.plans import compiled, of, same

FIGURE3 = "eval=[in_distribution]"


def test_figure_3_compares_picks_among_the_final_policys_responses_to_prompts_of_the_reward_model() -> None:
    one = compiled(FIGURE3)
    base, first, second = one.graph.iterations
    found = {}
    for stage in of(one, PairwiseWinRate):
        judged = stage.judgments
        assert isinstance(judged, Judge)
        picks = judged.baseline, judged.model
        rewards = []
        for pick in picks:
            assert isinstance(pick, SelectBestResponse) and isinstance(pick.samples, Sample)
            assert same(pick.samples.policy, second.policy)
            prompts = pick.samples.prompts
            assert isinstance(prompts, FirstPrompts) and one.graph.reward_prompts is not None
            assert same(prompts.prompts, one.graph.reward_prompts)
            assert isinstance(pick.rewards, Score)
            rewards.append(pick.rewards.reward.key)
        found[stage.against, rewards[1]] = rewards[0]
    assert found == {
        ("", first.reward.key): base.reward.key,
        ("", second.reward.key): base.reward.key,
        ("_vs_previous", second.reward.key): first.reward.key,
    }


def test_figure_3_may_ask_held_out_prompts() -> None:
    one = compiled("eval=[held_out,in_distribution]", "eval.in_distribution.source=held_out")
    for stage in of(one, SelectBestResponse):
        assert isinstance(stage.samples, Sample) and not isinstance(stage.samples.prompts, FirstPrompts)
