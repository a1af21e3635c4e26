"""Meta-Rewarding's schedule, and Self-Rewarding as what remains without the meta-judge."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.methods.compile import CompiledRun, compile_run
from mt.running.checks import check, lacking
from mt.stages.files import HubFile
from mt.stages.judge_self import ComparisonPrompts, JudgePairs, JudgmentPrompts, ParseJudgments, SelectMostVaried
from mt.stages.load_judgments import LoadJudgments
from mt.stages.models import ModelFolder
from mt.stages.sample import Sample
from mt.stages.score import ReferenceLogProbs, Score
from mt.stages.select import MixPairs, SelectPairs
from mt.stages.train import SupervisedFinetune, TrainPolicy
from mt.stages.world import WorldJudgments
from mt.stages.written_judgments import (
    LoadRankedReplies,
    SelectAgreeingJudgments,
    WriteJudgments,
    WriteJudgmentsOverNetwork,
)
from mt.workflow.store import Store
from tests.data import open_assistant
from tests.engines.tiny import tiny_policy
from tests.methods.plans import compiled, of, only, same

META = ("method=meta_rewarding", "objective=dpo")
SELF = ("method=self_rewarding", "objective=dpo")


def actors(*overrides: str) -> list[SelectPairs]:
    return [stage for stage in of(compiled(*overrides), SelectPairs) if stage.source == "actor"]


def test_the_policy_first_learns_to_judge_then_acts_and_judges_itself() -> None:
    one = compiled(*META)
    eft = only([stage for stage in of(one, SupervisedFinetune) if isinstance(stage.demonstrations, WorldJudgments)])
    assert same(eft.policy, one.graph.base.policy)
    policies = [eft, *(iteration.policy for iteration in one.graph.iterations[1:])]
    for before, after, pairs in zip(policies[:-1], policies[1:], actors(*META), strict=True):
        assert isinstance(pairs.samples, ParseJudgments) and isinstance(pairs.samples.samples, Sample)
        assert same(pairs.samples.samples.policy, before)
        judgments = pairs.samples.judgments
        assert isinstance(judgments, Sample) and isinstance(judgments.prompts, JudgmentPrompts)
        assert same(judgments.policy, before)
        assert same(judgments.prompts.samples, pairs.samples.samples)
        assert judgments.decoding.samples == 5
        assert isinstance(after, TrainPolicy) and same(after.policy, before)
        assert isinstance(after.reference, ReferenceLogProbs) and same(after.reference.policy, before)
    assert not of(one, Score), "no reward model takes part"


def test_samples_and_scores_of_a_pair_are_halves_of_one_table() -> None:
    for pairs in actors(*META):
        assert isinstance(pairs.samples, ParseJudgments) and isinstance(pairs.rewards, ParseJudgments)
        assert (pairs.samples.part, pairs.rewards.part) == ("samples", "rewards")
        assert same(pairs.samples.judgments, pairs.rewards.judgments)


def test_judge_pairs_come_in_the_first_two_iterations_only() -> None:
    one = compiled(*META)
    kinds = [type(iteration.selected) for iteration in one.graph.iterations[1:]]
    assert kinds == [MixPairs, MixPairs, SelectPairs]
    for mixed, actor in zip(of(one, MixPairs), actors(*META)[:2], strict=True):
        assert same(mixed.pairs, actor) and mixed.share == 0.15
        assert isinstance(mixed.extra, JudgePairs)


def test_the_meta_judge_is_the_policy_on_the_most_disputed_judgments() -> None:
    one = compiled(*META)
    for judge, actor in zip(of(one, JudgePairs), actors(*META), strict=False):
        assert isinstance(judge.varied, SelectMostVaried) and isinstance(actor.samples, ParseJudgments)
        assert same(judge.varied.judgments, actor.samples.judgments)
        assert isinstance(judge.comparisons, ComparisonPrompts) and same(judge.comparisons.varied, judge.varied)
        assert isinstance(judge.verdicts, Sample) and same(judge.verdicts.prompts, judge.comparisons)
        assert judge.verdicts.decoding.samples == 1
        assert isinstance(judge.varied.judgments, Sample) and same(judge.verdicts.policy, judge.varied.judgments.policy)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [((), [0, 0, 0.1]), (("iterations=4",), [0, 0, 0.1, 0.1]), (("method.rho=[0.2]",), [0.2, 0.2, 0.2])],
)
def test_the_width_of_the_tiers_follows_its_schedule(overrides: tuple[str, ...], expected: list[float]) -> None:
    assert [pairs.selection.model_dump()["rho"] for pairs in actors(*META, *overrides)] == expected


def test_winning_judgments_have_a_limit_below_what_is_generated() -> None:
    paper = compose_runs(["scale=llama3_8b", *META, "eval=[]"])[0].config
    pairs, samples = of(compile_run(paper), JudgePairs), of(compile_run(paper), Sample)
    judgments = {stage.decoding.max_new_tokens for stage in samples if isinstance(stage.prompts, JudgmentPrompts)}
    assert {pair.max_tokens for pair in pairs} == {384} and judgments == {512}


def test_self_rewarding_has_no_meta_judge() -> None:
    one = compiled(*SELF)
    assert not of(one, JudgePairs) and not of(one, ComparisonPrompts) and not of(one, MixPairs)
    assert [pairs.selection.model_dump()["rho"] for pairs in actors(*SELF)] == [0, 0, 0]


def test_both_share_everything_until_the_first_judge_pair() -> None:
    assert same(actors(*META)[0], actors(*SELF)[0])


def test_parts_are_those_of_the_iterative_methods() -> None:
    iterative = compiled("method=iterative").graph.iterations[1:]
    for pairs, other in itertools.zip_longest(actors(*META), iterative):
        assert pairs.samples.samples.prompts.key == other.samples.prompts.key  # type: ignore[attr-defined, union-attr]


def test_judgments_of_the_users_own_replace_the_worlds(tmp_path: Path) -> None:
    path = tmp_path / "eft.jsonl"
    path.write_text('{"prompt": "a", "response": "b", "judgment": "good score 4"}\n')
    one = compiled(*META, f"method.eft={path}", f"store={tmp_path}/store")
    assert only(of(one, LoadJudgments)).rubric == "world"
    assert not of(one, WorldJudgments)
    with pytest.raises(Exception, match=r"method\.eft=missing\.jsonl: no such file"):
        compiled(*META, "method.eft=missing.jsonl")


def at_paper_scale(folder: Path, *overrides: str) -> CompiledRun:
    lines = ["scale=llama3_8b", "method=meta_rewarding", "eval=[reward_bench]", f"store={folder}/store", *overrides]
    return compile_run(compose_runs(lines)[0].config)


@pytest.mark.parametrize("method", ["meta_rewarding", "self_rewarding"])
def test_at_paper_scale_the_judge_writes_judgments_of_open_assistants_replies(tmp_path: Path, method: str) -> None:
    one = at_paper_scale(tmp_path, f"method={method}", "judge=openai", "judge.model=a", "method.eft_data.model=b")
    selected = only(of(one, SelectAgreeingJudgments))
    assert same(only(of(one, SupervisedFinetune)).demonstrations, selected)
    written = selected.judgments
    assert isinstance(written, WriteJudgmentsOverNetwork) and written.judge.model_dump()["model"] == "b"
    assert isinstance(written.prompts, JudgmentPrompts) and written.prompts.rubric == selected.rubric == "english"
    replies = written.prompts.samples
    assert same(replies, selected.replies) and isinstance(replies, LoadRankedReplies)
    assert isinstance(replies.source, HubFile) and replies.source.fingerprint.startswith("OpenAssistant/oasst1@")


def test_replies_of_a_local_file_can_be_judged_on_this_machine(tmp_path: Path) -> None:
    path = open_assistant.write(tmp_path, "messages")
    tiny_policy(tmp_path / "judge")
    local = ("judge=transformers", f"judge.path={tmp_path}/judge", f"method.eft_data.replies={path}")
    one = at_paper_scale(tmp_path, *local)
    assert only(of(one, LoadRankedReplies)).source.location == path
    assert type(only(of(one, WriteJudgments)).judge_model) is ModelFolder
    with pytest.raises(ConfigError, match=r"eft_data\.model=b: judge=transformers is a folder"):
        at_paper_scale(tmp_path, *local, "method.eft_data.model=b")


def test_without_a_judge_that_writes_a_file_of_judgments_is_asked_for(tmp_path: Path) -> None:
    planned = at_paper_scale(tmp_path)  # its cost can be asked for
    said = r"method\.eft=null: data=ultrafeedback comes without judgments.*judge=gold writes none.*eft=FILE"
    (line,) = lacking(planned.plan, Store(tmp_path / "store"))
    assert re.match(said, line)
    with pytest.raises(ConfigError, match=said):
        check(planned)
