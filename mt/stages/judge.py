"""Judging: a judge compares the responses of a model with those of a baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from mt.engines.judging import Style, both_orders, coin_order
from mt.engines.judging.base import Judge as JudgeSettings
from mt.engines.template import TemplateConfig
from mt.errors import DataError, describe
from mt.stages.judging import AsksJudge, Oracle, OverNetwork, refuse_unanswered
from mt.types import Comparison, Judgment, Response, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work

LOWEST, HIGHEST = 1, 10
"""The scores that a judge may give."""


@dataclass(frozen=True, eq=False)
class Judge(AsksJudge):
    """Judgments of two models' first responses to the same prompts, by a judge on this machine."""

    VERSION: ClassVar[int] = 2
    baseline: Stage
    model: Stage
    judge: JudgeSettings
    judge_model: Stage | None
    """The judge's own model (reward_model, transformers, vllm)."""
    oracle: Oracle | None
    """The truth that the gold judge sees."""
    style: Literal["preference", "verdict"]
    """One token, m or M (AlpacaEval), or one of five labels (Arena-Hard)."""
    orders: Literal["coin", "both"]
    """Which response is shown first: by a seeded coin per instruction, or each once."""
    template: str | None
    """Digest of the judge's prompt: a file of the user's is known by its content, not by its name."""
    seed: int
    chat_template: TemplateConfig | None = None
    """How the judge model's chat template is rendered; None without a judge model."""

    @property
    def asks(self) -> Style:
        """A preference or a verdict."""
        return self.style

    def run(self, work: Work) -> None:
        """Judge every comparison; what was judged before an interruption comes from the cache."""
        comparisons = list[Comparison]()
        for base, model in aligned(work.rows(Samples, self.baseline), work.rows(Samples, self.model)):
            texts = base.responses[0].text, model.responses[0].text
            if self.orders == "both":
                comparisons += both_orders(base.prompt_id, base.messages, *texts)
            else:
                order = coin_order(base.messages[-1]["content"], self.seed)
                comparisons.append(Comparison(base.prompt_id, base.messages, *texts, order))
        done: dict[tuple[str, str], Judgment] = {}
        with self.opened(work, self.oracle) as judge:
            for judgment in judge.judge(comparisons):
                done[judgment.prompt_id, judgment.order] = judgment
                work.progress(len(done), len(comparisons), "judgments")
            work.count(**judge.counts)
        problems = Counter(str(one.problem) for one in done.values() if one.preference is None)
        refuse_unanswered(problems, len(done), "comparisons got a usable answer")
        work.write([done[one.prompt_id, one.order] for one in comparisons], Judgment)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one judgment for each comparison: the texts that are read, and the answer."""
        model = inputs[self.model.key]
        texts = model.prompt_tokens + 2 * model.response_tokens + assumed.judge_prompt_tokens
        answer = 1.0 if self.style == "preference" else assumed.judge_answer_tokens
        return Volume(model.rows * (2 if self.orders == "both" else 1), 1, texts, answer)


@dataclass(frozen=True, eq=False)
class JudgeOverNetwork(OverNetwork, Judge):
    """The same by a judge behind an endpoint."""


@dataclass(frozen=True, eq=False)
class JudgeScores(AsksJudge):
    """A judge's score of every response, from 1 to 10; one without a score gets the mean of the prompt's others."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    judge: JudgeSettings
    judge_model: Stage | None
    oracle: Oracle | None
    template: str | None
    """Digest of the judge's prompt."""
    chat_template: TemplateConfig | None
    """How the judge model's chat template is rendered; None without a judge model."""

    @property
    def asks(self) -> Style:
        """One score."""
        return "score"

    def run(self, work: Work) -> None:
        """Score every response; what was scored before an interruption comes from the cache."""
        rows = work.rows(Samples, self.samples)
        items = [(row.messages, response.text) for row in rows for response in row.responses]
        found, problems = dict[int, float | None](), Counter[str]()
        with self.opened(work, self.oracle) as judge:
            for index, score, problem in judge.score(items):
                found[index] = score
                problems.update([problem] if problem is not None and score is None else [])
                work.progress(len(found), len(items), "scores")
            work.count(**judge.counts)
        refuse_unanswered(problems, len(items), "responses got a score")
        scores = iter(found[index] for index in range(len(items)))
        work.write([Rewards(row.prompt_id, _filled([next(scores) for _ in row.responses])) for row in rows], Rewards)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one score for each response: the texts that are read, and the answer."""
        samples = inputs[self.samples.key]
        asked = assumed.judge_prompt_tokens + samples.prompt_tokens + samples.response_tokens
        return Volume(samples.rows * samples.responses, 1, asked, assumed.judge_answer_tokens)


@dataclass(frozen=True, eq=False)
class JudgeScoresOverNetwork(OverNetwork, JudgeScores):
    """The same by a judge behind an endpoint."""


def _filled(scores: Sequence[float | None]) -> list[float]:
    """Return a prompt's scores; a missing one is the mean of the others, so that it makes no response best or worst."""
    known = [score for score in scores if score is not None]
    mean = math.fsum(known) / len(known) if known else (LOWEST + HIGHEST) / 2
    return [mean if score is None else score for score in scores]


@dataclass(frozen=True, eq=False)
class SelectBestResponse(Stage):
    """Of every prompt's responses the one that a reward model prefers (Figure 3)."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage

    def run(self, work: Work) -> None:
        """Keep one response per prompt, the first of equals."""
        kept = []
        for row, scored in zip(work.rows(Samples, self.samples), work.rows(Rewards, self.rewards), strict=True):
            best = max(range(len(row.responses)), key=scored.rewards.__getitem__)
            kept.append(Samples(row.prompt_id, row.messages, row.section, [row.responses[best]]))
        work.write(kept, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one response to each prompt."""
        return replace(inputs[self.samples.key], responses=1)


def aligned(base: Sequence[Samples], model: Sequence[Samples]) -> list[tuple[Samples, Samples]]:
    """Return both models' rows for each prompt of the baseline, in its order.

    A model that answered nothing (its prompt was too long) has answered with an empty text: it must not gain by it.
    """
    answers = {row.prompt_id: row for row in model}
    if unknown := set(answers) - {row.prompt_id for row in base}:
        raise DataError(describe("prompt_id", sorted(unknown)[0], "the baseline has no answer to it"))
    empty = [Response("", 0, False)]
    return [(row, answers.get(row.prompt_id, Samples(row.prompt_id, row.messages, row.section, empty))) for row in base]
