"""The policy as judge and meta-judge of its own responses (Wu et al. 2024a, §2)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from mt.errors import DataError, describe
from mt.types import Pair, Prompt, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work

if TYPE_CHECKING:
    from mt.data.rubric import Rubric

MARK = "#"
"""Stands between the id of a prompt and the number of its response."""


@dataclass(frozen=True, eq=False)
class JudgmentPrompts(Stage):
    """For every response the prompt that asks for its score."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rubric: str

    def run(self, work: Work) -> None:
        """Write one prompt per response, named "<prompt>#<response>"."""
        rubric, rows = _rubric(self.rubric), work.rows(Samples, self.samples)
        prompts = [
            Prompt(f"{row.prompt_id}{MARK}{k}", rubric.judge_prompt(row.messages, response.text), row.section)
            for row in rows
            for k, response in enumerate(row.responses)
        ]
        work.count(prompts=len(prompts))
        work.write(prompts, Prompt)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one question for each response."""
        samples = inputs[self.samples.key]
        asked = assumed.judge_prompt_tokens + samples.prompt_tokens + samples.response_tokens
        return Volume(samples.rows * samples.responses, 0, asked, assumed.judge_answer_tokens)


@dataclass(frozen=True, eq=False)
class ParseJudgments(Stage):
    """The responses with at least one readable judgment, or their rewards: the mean of the scores (§2.1)."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    judgments: Stage
    rubric: str
    part: Literal["samples", "rewards"]

    def run(self, work: Work) -> None:
        """Parse the judgments strictly; unreadable ones are counted and left out, DataError where all are."""
        from mt.selection import average_scores

        rubric = _rubric(self.rubric)
        scores = {row.prompt_id: _parsed(rubric, row) for row in work.rows(Samples, self.judgments)}
        kept = []
        for row in work.rows(Samples, self.samples):
            scores_KN = [scores.get(f"{row.prompt_id}{MARK}{k}", []) for k in range(len(row.responses))]
            samples, rewards = average_scores(row, scores_KN)
            if samples.responses:
                kept.append((samples, rewards))
        given = [score for row in scores.values() for score in row]
        work.count(judgments=len(given), unreadable=given.count(None), prompts=len(kept))
        if not kept:
            problem = f"none of the policy's {len(given)} judgments can be read: it has not learnt to judge"
            fix = "Train it longer on judgments (method.eft_training), or leave judgments more room"
            raise DataError(describe("judgments", 0, problem, fix=f"{fix} (method.judgment_tokens)"))
        if self.part == "samples":
            work.write([samples for samples, _ in kept], Samples)
        else:
            work.write([rewards for _, rewards in kept], Rewards)


@dataclass(frozen=True, eq=False)
class SelectMostVaried(Stage):
    """Of every prompt the response whose scores vary most, with its readable judgments (§2.2)."""

    VERSION: ClassVar[int] = 1
    judgments: Stage
    rubric: str

    def run(self, work: Work) -> None:
        """Keep the judgments of one response per prompt."""
        from mt.selection import most_varied

        rubric, groups = _rubric(self.rubric), defaultdict(list)
        for row in work.rows(Samples, self.judgments):
            groups[row.prompt_id.rpartition(MARK)[0]].append(row)
        kept = []
        for rows in groups.values():
            scores_KN = [_parsed(rubric, row) for row in rows]
            varied = most_varied(scores_KN)
            if varied is not None:
                row, scores = rows[varied], scores_KN[varied]
                # Judgments that are equal in text cannot be compared.
                read = {one.text: one for one, score in zip(row.responses, scores, strict=True) if score is not None}
                kept.append(Samples(row.prompt_id, row.messages, row.section, list(read.values())))
        work.count(prompts=len(kept))
        work.write(kept, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the judgments of one response in five (our choice)."""
        judgments = inputs[self.judgments.key]
        return replace(judgments, rows=judgments.rows / 5)


@dataclass(frozen=True, eq=False)
class ComparisonPrompts(Stage):
    """For every two judgments of a response, in both orders, the prompt that asks which is better (§2.2)."""

    VERSION: ClassVar[int] = 1
    varied: Stage
    rubric: str

    def run(self, work: Work) -> None:
        """Write the prompts, named "<prompt>#<response>#<first>-<second>"."""
        rubric = _rubric(self.rubric)
        prompts = [
            Prompt(
                f"{row.prompt_id}{MARK}{first}-{second}",
                rubric.compare_prompt(row.messages, row.responses[first].text, row.responses[second].text),
                row.section,
            )
            for row in work.rows(Samples, self.varied)
            for first, second in itertools.permutations(range(len(row.responses)), 2)
        ]
        work.count(prompts=len(prompts))
        work.write(prompts, Prompt)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one question for each two judgments, in both orders."""
        judgments = inputs[self.varied.key]
        count = min(judgments.responses, 6)  # scores from 0 to 5: at most so many judgments differ in a short rubric
        asked = judgments.prompt_tokens + 2 * judgments.response_tokens
        return Volume(judgments.rows * count * (count - 1), 0, asked, assumed.judge_answer_tokens)


@dataclass(frozen=True, eq=False)
class JudgePairs(Stage):
    """The judgment with the highest Elo score over the one with the lowest (§2.2).

    A judge that never contradicts itself gives no pair; its iteration then trains on actor pairs alone.
    """

    VERSION: ClassVar[int] = 1
    varied: Stage
    comparisons: Stage
    verdicts: Stage
    rubric: str
    max_tokens: int
    """Longest judgment that may be chosen."""

    def run(self, work: Work) -> None:
        """Read the verdicts; an unreadable one counts as a tie."""
        from mt.selection import Verdict, judge_pairs

        rubric, verdicts, unreadable = _rubric(self.rubric), [], 0
        winners = {"first": 1, "second": 2}
        for row in work.rows(Samples, self.verdicts):
            name, _, order = row.prompt_id.rpartition(MARK)
            first, second = map(int, order.split("-"))
            said = rubric.parse_comparison(row.responses[0].text)
            unreadable += said is None
            verdicts.append(Verdict(name, first, second, winners.get(said or "")))
        selected = judge_pairs(work.rows(Samples, self.varied), verdicts, max_tokens=self.max_tokens)
        work.count(verdicts=len(verdicts), unreadable=unreadable, **selected.counts)
        if not selected.rows:
            work.note("no judgments differ enough for a judge pair: this iteration trains on actor pairs alone")
        work.write(selected.rows, Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one pair for each prompt."""
        return replace(inputs[self.varied.key], responses=2)


def _rubric(name: str) -> Rubric:
    from mt.data.rubric import RUBRICS

    return RUBRICS[name]


def _parsed(rubric: Rubric, row: Samples) -> list[float | None]:
    return [rubric.parse_judgment(response.text) for response in row.responses]
