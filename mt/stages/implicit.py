"""A policy as its own labeller (SAIL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mt.engines.scoring.sequences import WINDOW
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.stages.room import inspect_engine
from mt.stages.score import as_rewards
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import Use
from mt.workflow.work import Work, engine_key


@dataclass(frozen=True, eq=False)
class ImplicitRewards(Stage):
    """β·log π(y)/π_0(y) of every response: the reward that DPO fits implicitly (Rafailov et al. 2023, Eq. 5)."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    base: Stage
    samples: Stage
    beta: float
    engine: LogProbsConfig
    max_length: int
    """As in sampling, so that every response fits."""
    template: TemplateConfig
    """How the policies' chat template is rendered."""

    @property
    def opens(self) -> str:
        """The policy, opened for its log-probabilities; the base follows."""
        return engine_key(self.engine, self.policy, self.template)

    def inspect(self) -> None:
        """Refuse a policy that one GPU has no room for."""
        inspect_engine(self.policy, self.engine, "logprobs")

    def run(self, work: Work) -> None:
        """Sum the log-probabilities under both policies."""
        samples = work.rows(Samples, self.samples)
        items = [(row.messages, response) for row in samples for response in row.responses]
        ratios, done = [0.0] * len(items), 0
        for sign, policy in ((1.0, self.policy), (-1.0, self.base)):
            opened = work.engine(self.engine, policy, self.template)
            for index, logp, _ in opened.logprobs(items, self.max_length):
                ratios[index] += sign * logp
                done += 1
                work.progress(done, 2 * len(items), "log-probabilities")
        work.count(responses=len(items))
        work.write(as_rewards(samples, (self.beta * ratio for ratio in ratios)), Rewards)

    def use(self) -> Use | None:
        """Return how it uses the policy and its base."""
        return Use(
            "score",
            self.policy,
            self.engine,
            "logprobs",
            self.samples,
            passes=2,
            sequence=self.max_length,
            shares=WINDOW,
        )
