"""Judgments that a strong judge writes of ranked replies, from which a policy learns to judge (Appendix A)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import ClassVar

from mt.engines.judging import Style
from mt.engines.judging.base import Judge as JudgeSettings
from mt.engines.template import TemplateConfig
from mt.errors import DataError, describe
from mt.stages.judge_self import MARK
from mt.stages.judging import AsksJudge, OverNetwork, refuse_unanswered
from mt.types import Demonstration, Prompt, Response, Samples
from mt.workflow.stage import External, Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work

_REPLIES = 3
"""Ranked replies to a first turn of OpenAssistant, about."""
_AGREEING = 0.5
"""Share of the judgments that agree with people, assumed for estimates of cost."""


@dataclass(frozen=True, eq=False)
class LoadRankedReplies(Stage):
    """First turns of OpenAssistant's conversations with the replies that people ranked, the best first."""

    VERSION: ClassVar[int] = 1
    source: External
    """Message trees, or flat messages (oasst1, oasst2)."""
    language: str
    limit: int
    """Prompts to use at most, in the order of the file."""

    def run(self, work: Work) -> None:
        """Read the replies; DataError where no prompt has two that are ranked."""
        rows = self.samples(work.path(self.source))
        work.count(prompts=len(rows), replies=sum(len(row.responses) for row in rows))
        work.write(rows, Samples)

    def check(self) -> None:
        """Read the file once, so that a malformed row is reported before anything heavy starts."""
        self.samples(self.source.location)

    def samples(self, path: Path) -> list[Samples]:
        """Return the file's prompts with their replies."""
        from mt.data.files import read_rows
        from mt.data.ranked_replies import COLUMNS, load_ranked_replies

        found = list(islice(load_ranked_replies(read_rows(path, columns=COLUMNS), self.language), self.limit))
        if not found:
            problem = f"no prompt of language {self.language} has two ranked replies"
            fix = "Set method.eft_data.language, or name another file"
            raise DataError(describe("method.eft_data.replies", path, problem, fix=fix))
        return found

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return about three replies to each prompt."""
        return assumed.rows(self.limit, responses=_REPLIES)


@dataclass(frozen=True, eq=False)
class WriteJudgments(AsksJudge):
    """What a judge on this machine writes in answer to each prompt; prompts without a whole answer are left out."""

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[str] = "gpu"
    prompts: Stage
    judge: JudgeSettings
    judge_model: Stage | None
    chat_template: TemplateConfig | None
    """How the judge model's chat template is rendered; None without a judge model."""

    @property
    def asks(self) -> Style:
        """Whatever the prompt asks for."""
        return "text"

    def run(self, work: Work) -> None:
        """Ask for every judgment; what was written before an interruption comes from the cache."""
        prompts = work.rows(Prompt, self.prompts)
        found, problems = dict[int, str](), Counter[str]()
        with self.opened(work) as judge:
            for done, (index, text, problem) in enumerate(judge.write([one.messages for one in prompts]), start=1):
                if problem is None:
                    found[index] = text
                problems.update([problem] if problem is not None else [])
                work.progress(done, len(prompts), "judgments")
            work.count(**judge.counts)
        refuse_unanswered(problems, len(prompts), "judgments was written")
        rows = [
            Samples(one.prompt_id, one.messages, one.section, [Response(found[index], 0)])
            for index, one in enumerate(prompts)
            if index in found
        ]
        work.write(rows, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one judgment for each prompt."""
        return replace(inputs[self.prompts.key], responses=1, response_tokens=assumed.judge_answer_tokens)


@dataclass(frozen=True, eq=False)
class WriteJudgmentsOverNetwork(OverNetwork, WriteJudgments):
    """The same by a judge behind an endpoint."""


@dataclass(frozen=True, eq=False)
class SelectAgreeingJudgments(Stage):
    """Demonstrations of judging: the judgments of a prompt's replies whose scores order them as people did."""

    VERSION: ClassVar[int] = 1
    replies: Stage
    judgments: Stage
    """Of every reply, named "<prompt>#<reply>"."""
    rubric: str
    per_score: int | None
    """Judgments with one and the same score, at most."""
    seed: int

    def run(self, work: Work) -> None:
        """Keep what agrees, and thin out the most common scores; DataError where nothing agrees."""
        from mt.data.rubric import RUBRICS
        from mt.selection.agreement import agrees, thinned

        rubric, judged = RUBRICS[self.rubric], {row.prompt_id: row for row in work.rows(Samples, self.judgments)}
        scores = {name: rubric.parse_judgment(row.responses[0].text) for name, row in judged.items()}
        kept, prompts = list[tuple[str, int]](), 0
        for row in work.rows(Samples, self.replies):
            names = (f"{row.prompt_id}{MARK}{number}" for number in range(len(row.responses)))
            read = [(name, score) for name in names if (score := scores.get(name)) is not None]
            if len(read) > 1 and agrees([score for _, score in read]):
                prompts += 1
                kept += read
        if not kept:
            fix = "Choose a stronger judge, or set method.eft=FILE (judgments of yours)"
            raise DataError(f"judge: none of {len(judged)} judgments agrees with people's ranks. {fix}.")
        of_all = [score for _, score in kept]
        left = range(len(kept)) if self.per_score is None else thinned(of_all, self.per_score, self.seed)
        unreadable = sum(score is None for score in scores.values())
        agreeing = {"agreeing_prompts": prompts, "agreeing": len(kept)}
        work.count(judgments=len(judged), unreadable=unreadable, **agreeing, kept=len(left))
        chosen = [judged[kept[index][0]] for index in left]
        rows = [Demonstration(row.prompt_id, row.messages, row.section, row.responses[0]) for row in chosen]
        work.write(rows, Demonstration)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return half of the judgments."""
        judgments = inputs[self.judgments.key]
        return replace(judgments, rows=_AGREEING * judgments.rows)
