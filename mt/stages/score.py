"""Scoring: rewards of responses, and log-probabilities of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from mt.config.engines import LogProbsConfig, ScorerConfig
from mt.config.template import TemplateConfig
from mt.stages.engines import check_engine
from mt.types import Pair, PairLogProbs, Rewards, Samples
from mt.workflow.journal import Journal
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class Score(Stage):
    """The reward model's reward of every response (Eq. 1's r)."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    reward: Stage
    samples: Stage
    scorer: ScorerConfig
    template: TemplateConfig
    """How the reward model's chat template is rendered."""

    def check(self) -> None:
        """Refuse an engine that is not installed."""
        check_engine(self.scorer)

    def run(self, work: Work) -> None:
        """Score what an interrupted attempt left open."""
        from mt.engines.scoring import open_scorer

        rows = work.rows(Samples, self.samples)
        items = [(row.messages, response.text, response.finished) for row in rows for response in row.responses]
        with Journal(work.scratch / "rewards.jsonl") as journal:
            done = {index for index, _ in journal.items}
            with open_scorer(self.scorer, work.path(self.reward), self.template) as scorer:
                for index, reward in scorer.score(items, skip=done):
                    journal.append([index, reward])
                    work.progress(len(journal.items), len(items), "responses")
                work.count(**scorer.counts)
            rewards = dict(map(tuple, journal.items))
        work.count(responses=len(items))
        work.write(list(_aligned(rows, rewards)), Rewards)


def _aligned(rows: list[Samples], rewards: dict[int, float]) -> Iterator[Rewards]:
    first = 0
    for row in rows:
        last = first + len(row.responses)
        yield Rewards(row.prompt_id, [rewards[i] for i in range(first, last)])
        first = last


@dataclass(frozen=True, eq=False)
class ReferenceLogProbs(Stage):
    """Summed log-probabilities of every chosen and rejected response under a reference policy (Eq. 2's π_ref).

    Computed once per (reference, pairs) and shared by every objective that needs them.
    """

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    pairs: Stage
    engine: LogProbsConfig
    max_length: int
    """As in the training that uses them, so that both see the same sequences."""
    truncation: Literal["drop", "left"]
    template: TemplateConfig
    """How the policy's chat template is rendered."""

    def run(self, work: Work) -> None:
        """Compute the log-probabilities, chosen and rejected interleaved."""
        from mt.engines.scoring.logprobs import response_logprobs

        pairs = work.rows(Pair, self.pairs)
        items = [(pair.messages, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
        found: dict[int, float] = {}
        logprobs = response_logprobs(self.engine, work.path(self.policy), items, self.max_length, self.truncation)
        tokens = 0
        for index, logp, count in logprobs:
            found[index] = logp
            tokens += count
            work.progress(len(found), len(items), "responses")
        rows = [PairLogProbs(pair.prompt_id, found[2 * i], found[2 * i + 1]) for i, pair in enumerate(pairs)]
        work.count(responses=len(items), response_tokens=tokens)
        work.write(rows, PairLogProbs)
