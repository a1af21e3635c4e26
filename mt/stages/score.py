"""Scoring: rewards of responses, and log-probabilities of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from mt.engines.scoring import Scorer
from mt.engines.scoring.sequences import WINDOW
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.runtime.jsonl import Journal
from mt.stages.lineage import samplers
from mt.stages.room import inspect_engine
from mt.types import Pair, PairLogProbs, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import Use
from mt.workflow.work import Work, engine_key

LARGE_GAP = 0.05
"""Mean difference in nats a token, above which sampler and reference are reported to disagree (our choice)."""


@dataclass(frozen=True, eq=False)
class Score(Stage):
    """The reward model's reward of every response (Eq. 1's r)."""

    VERSION: ClassVar[int] = 2
    NEEDS: ClassVar[str] = "gpu"
    reward: Stage
    samples: Stage
    scorer: Scorer
    template: TemplateConfig
    """How the reward model's chat template is rendered."""

    @property
    def opens(self) -> str:
        """The reward model, opened by the scorer."""
        return engine_key(self.scorer, self.reward, self.template)

    def check(self) -> None:
        """Refuse an engine that is not installed."""
        self.scorer.check()

    def inspect(self) -> None:
        """Refuse a reward model that the engine's GPUs have no room for."""
        inspect_engine(self.reward, self.scorer, "scorer")

    def run(self, work: Work) -> None:
        """Score what an interrupted attempt left open."""
        rows = work.rows(Samples, self.samples)
        items = [(row.messages, response.text, response.finished) for row in rows for response in row.responses]
        with Journal(work.scratch / "rewards.jsonl") as journal:
            done = {index for index, _ in journal.items}
            reward_model = work.engine(self.scorer, self.reward, self.template)
            for index, reward in reward_model.score(items, skip=done):
                journal.append([index, reward])
                work.progress(len(journal.items), len(items), "responses")
            work.count(**reward_model.counts)
            rewards = dict(map(tuple, journal.items))
        work.count(responses=len(items))
        work.write(as_rewards(rows, (rewards[index] for index in range(len(items)))), Rewards)

    def use(self) -> Use | None:
        """Return how it uses the reward model."""
        return Use("score", self.reward, self.scorer, "scorer", self.samples, sequence=self.scorer.max_length)


def as_rewards(samples: Sequence[Samples], values: Iterable[float]) -> list[Rewards]:
    """Return the prompts' rewards from values that stand one after the other, one for each response."""
    following = iter(values)
    return [Rewards(row.prompt_id, [next(following) for _ in row.responses]) for row in samples]


@dataclass(frozen=True, eq=False)
class ReferenceLogProbs(Stage):
    """Summed log-probabilities of every chosen and rejected response under a reference policy (Eq. 2's π_ref).

    Computed once per (reference, pairs) and shared by every objective that needs them. Where the reference is the
    policy that sampled the responses, its counts say how far apart sampler and reference are.
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

    @property
    def opens(self) -> str:
        """The policy, opened for its log-probabilities."""
        return engine_key(self.engine, self.policy, self.template)

    def inspect(self) -> None:
        """Refuse a policy that one GPU has no room for."""
        inspect_engine(self.policy, self.engine, "logprobs")

    def run(self, work: Work) -> None:
        """Compute the log-probabilities, chosen and rejected interleaved."""
        pairs = work.rows(Pair, self.pairs)
        items = [(pair.messages, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
        found: dict[int, float] = {}
        gaps, tokens = list[tuple[float, int]](), 0
        policy = work.engine(self.engine, self.policy, self.template)
        for index, logp, count in policy.logprobs(items, self.max_length, self.truncation):
            found[index] = logp
            tokens += count
            sampled = items[index][1].logprob
            if sampled is not None and count:
                gaps.append((abs(logp - sampled), count))
            work.progress(len(found), len(items), "responses")
        rows = [PairLogProbs(pair.prompt_id, found[2 * i], found[2 * i + 1]) for i, pair in enumerate(pairs)]
        work.count(responses=len(items), response_tokens=tokens)
        if gaps and samplers(self.pairs) == {self.policy.key}:
            self._report(work, gaps)
        work.write(rows, PairLogProbs)

    def _report(self, work: Work, gaps: list[tuple[float, int]]) -> None:
        """Report how far the reference is from the sampler, which is the same policy: |log π_ref − log π_sampler|.

        In nats, per response and per token. Both read the same ids with the same weights, so that float32 on both
        sides gives about 1e-5. Other engines and bfloat16 give about 0.01 a token; much more says that the two do
        not compute the same model, or that a long prompt was cut at another place than in sampling.
        """
        per_token = [gap / count for gap, count in gaps]
        mean = math.fsum(per_token) / len(gaps)
        work.count(
            sampler_compared=len(gaps),
            sampler_gap_mean=math.fsum(gap for gap, _ in gaps) / len(gaps),
            sampler_gap_largest=max(gap for gap, _ in gaps),
            sampler_gap_per_token_mean=mean,
            sampler_gap_per_token_largest=max(per_token),
        )
        if mean > LARGE_GAP:
            work.note(
                f"the log-probabilities of {len(gaps)} responses differ by {mean:.3f} nats a token from those that "
                "their sampler had, with the same policy; check dtype and version of generator and logprobs"
            )

    def use(self) -> Use | None:
        """Return how it uses the reference policy."""
        return Use("score", self.policy, self.engine, "logprobs", self.pairs, sequence=self.max_length, shares=WINDOW)
