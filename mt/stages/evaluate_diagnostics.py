"""Diagnostics of a policy and a reward model that no benchmark shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import ClassVar

from mt.engines.scoring.sequences import WINDOW
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.gold import GoldLanguage
from mt.stages.metrics import known, write_means
from mt.stages.room import inspect_engine
from mt.types import Metric, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.store import write_json
from mt.workflow.volume import Use
from mt.workflow.work import Work, engine_key

RELIABILITY = "reliability.json"


@dataclass(frozen=True, eq=False)
class PolicyDiagnostics(Stage):
    """KL from the base policy on the policy's own samples, diversity, duplicates, length bias of its rewards."""

    VERSION: ClassVar[int] = 4
    NEEDS: ClassVar[str] = "gpu"
    policy: Stage
    base: Stage
    samples: Stage
    rewards: Stage
    engine: LogProbsConfig
    max_length: int
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
        """Measure each prompt's responses, and average over prompts; correlate over the responses of all."""
        from mt.evaluation.diagnostics import distinct_n, duplicate_rate, within_prompt_correlation

        samples = work.rows(Samples, self.samples)
        texts = {row.prompt_id: [response.text for response in row.responses] for row in samples}
        values = {
            "kl": self._kl(work, samples),
            "distinct_1": known({name: distinct_n(of_prompt, 1) for name, of_prompt in texts.items()}),
            "distinct_2": known({name: distinct_n(of_prompt, 2) for name, of_prompt in texts.items()}),
            "duplicate_rate": known({name: duplicate_rate(of_prompt) for name, of_prompt in texts.items()}),
        }
        lengths = [[float(response.n_tokens) for response in row.responses] for row in samples]
        correlation = within_prompt_correlation([row.rewards for row in work.rows(Rewards, self.rewards)], lengths)
        n = sum(map(len, lengths))
        others = [] if correlation is None else [Metric("diagnostics", "length_correlation", correlation, n=n)]
        write_means(work, "diagnostics", values, *others, differences=["kl"])

    def _kl(self, work: Work, samples: list[Samples]) -> dict[str, float]:
        """Estimate the KL in nats per response, averaged over a prompt's responses."""
        from mt.evaluation.diagnostics import kl_from_samples

        items = [(row.messages, response) for row in samples for response in row.responses]
        logps: list[list[float]] = []
        for policy in (self.policy, self.base):
            found = [float("nan")] * len(items)
            opened = work.engine(self.engine, policy, self.template)
            for index, logp, _ in opened.logprobs(items, self.max_length):
                found[index] = logp
            logps.append(found)
        own, base = map(iter, logps)
        by_prompt = known(
            {
                row.prompt_id: kl_from_samples(
                    list(islice(own, len(row.responses))), list(islice(base, len(row.responses)))
                )
                for row in samples
            }
        )
        if not by_prompt:
            work.note("every response is empty or too long: its distance from the base policy cannot be computed")
        return by_prompt

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


@dataclass(frozen=True, eq=False)
class RewardCalibration(Stage):
    """Whether a reward model's win probabilities σ(r − r′) come true by gold; bins in `reliability.json`."""

    VERSION: ClassVar[int] = 1
    gold: Stage
    rewards: Stage
    language: GoldLanguage

    def run(self, work: Work) -> None:
        """Take every pair of responses within a prompt that gold tells apart."""
        from mt.evaluation.calibration import calibration

        margins, outcomes = [], []
        for gold, scored in zip(work.rows(Rewards, self.gold), work.rows(Rewards, self.rewards), strict=True):
            for i in range(len(gold.rewards)):
                for j in range(i):
                    difference = gold.rewards[i] - gold.rewards[j]
                    if abs(difference) > self.language.gold_margin:
                        margins.append(scored.rewards[i] - scored.rewards[j])
                        outcomes.append(float(difference > 0))
        if not margins:
            work.note("no pair of responses differs by gold: calibration cannot be computed")
            work.write_metrics([])
            return
        found = calibration(margins, outcomes)
        write_json(work.folder / RELIABILITY, [asdict(one) for one in found.bins])
        names = {"calibration_error": found.expected_calibration_error, "brier_score": found.brier_score}
        work.write_metrics([Metric("diagnostics", name, value, n=found.n) for name, value in names.items()])
