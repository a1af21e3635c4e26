"""What a policy first learns to judge from (EFT, Appendix A; Yuan et al. 2024, §3.1)."""

from __future__ import annotations

from pathlib import Path

from mt.choice import Config, Count
from mt.engines.judging import Judge
from mt.errors import ConfigError, describe
from mt.methods.judging import judging_inputs
from mt.methods.steps import Steps
from mt.sources.references import named_file
from mt.stages.files import NotGiven
from mt.stages.judge_self import JudgmentPrompts
from mt.stages.load_judgments import LoadJudgments
from mt.stages.written_judgments import (
    LoadRankedReplies,
    SelectAgreeingJudgments,
    WriteJudgments,
    WriteJudgmentsOverNetwork,
)
from mt.workflow.stage import Stage


class EftDataConfig(Config):
    """Judgments that the run's judge writes of replies which people have ranked (Appendix A)."""

    replies: str
    """OpenAssistant's message trees or flat messages: a local file, or OWNER/NAME@COMMIT:FILE of a hub data set."""
    language: str
    """Language of the prompts that are taken, by its code in the file."""
    prompts: Count
    """Prompts whose replies are judged, at most, in the order of the file; each has about three."""
    per_score: Count | None
    """Judgments with one and the same score that are kept, at most; null keeps all."""
    model: str | None
    """Who writes at judge=openai's endpoint, at the prices of `judge`; null takes judge.model."""


def eft_demonstrations(steps: Steps, file: str | None, data: EftDataConfig | None) -> Stage:
    """Return demonstrations of judging: of the user's file, of the data's own, or written by the run's judge."""
    if file is not None:
        return steps.add(LoadJudgments(named_file(steps.config, file, "method.eft"), steps.source.rubric))
    own = steps.source.judgments()
    if own is not None:
        return own
    judge = steps.config.judge
    if data is None or not judge.writes:
        problem = (
            f"data={steps.config.data.name} comes without judgments to learn from, and judge={judge.name} writes none"
        )
        fix = "Add judge=openai, or method.eft=FILE (JSONL: messages, response, judgment)"
        absent = NotGiven("method.eft", Path("method.eft"), describe("method.eft", None, problem, fix=fix))
        return steps.add(LoadJudgments(absent, steps.source.rubric))
    return _written(steps, data, judge)


def _written(steps: Steps, data: EftDataConfig, judge: Judge) -> Stage:
    """Judgments by the rubric that the policy will be asked by, where their scores agree with people's ranks."""
    if data.model is not None:
        if not judge.needs_network:
            fix = "Leave it out, or add judge=openai"
            raise ConfigError(describe("method.eft_data.model", data.model, f"judge={judge.name} is a folder", fix=fix))
        judge = judge.model_copy(update={"model": data.model})
    source = named_file(steps.config, data.replies, "method.eft_data.replies")
    replies = steps.add(LoadRankedReplies(source, data.language, data.prompts))
    prompts = steps.add(JudgmentPrompts(replies, steps.source.rubric))
    how = judging_inputs(steps, judge, "text", None)
    kind = WriteJudgmentsOverNetwork if judge.needs_network else WriteJudgments
    judgments = steps.add(kind(prompts, judge, how.model, how.chat_template))
    seed = steps.seed("eft judgments")
    return steps.add(SelectAgreeingJudgments(replies, judgments, steps.source.rubric, data.per_score, seed))
