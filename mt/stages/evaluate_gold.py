"""Evaluation by the world's gold judge: policies, reward models, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mt.gold import GoldLanguage
from mt.stages.metrics import (
    best,
    known,
    mean,
    order_agreement,
    prompt_means,
    rewards_by_prompt,
    win_rates,
    write_means,
)
from mt.types import Metric, Pair, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class GoldPolicyMetrics(Stage):
    """A policy against the base policy by gold reward on held-out prompts: win rate, mean reward, length."""

    VERSION: ClassVar[int] = 2
    samples: Stage
    gold: Stage
    base_gold: Stage

    def run(self, work: Work) -> None:
        """Compare every response with every response of the base policy to the same prompt; a tie counts half."""
        samples, gold = work.rows(Samples, self.samples), work.rows(Rewards, self.gold)
        quality = {row.prompt_id: mean(row.rewards) for row in gold}
        lengths = {row.prompt_id: mean([response.n_tokens for response in row.responses]) for row in samples}
        values = {
            "win_rate": win_rates(work, gold, self.base_gold),
            "mean_reward": quality,
            "length": lengths,
            **_by_section("mean_reward", samples, quality),
        }
        write_means(work, "gold", values)


@dataclass(frozen=True, eq=False)
class GoldRewardMetrics(Stage):
    """A reward model's agreement with gold on the responses of a policy, and what its choice among K is worth."""

    VERSION: ClassVar[int] = 2
    samples: Stage
    gold: Stage
    rewards: Stage
    margin: float
    """Gold rewards that differ by at most this are equal."""
    benchmark: str
    """What the metrics are called, by what was scored: "gold" or "gold_base"."""

    def run(self, work: Work) -> None:
        """Count pairs that gold tells apart and the reward model orders like gold; a tie counts half."""
        samples = work.rows(Samples, self.samples)
        gold = rewards_by_prompt(work, self.gold)
        rewards = rewards_by_prompt(work, self.rewards)
        accuracy = known({one: order_agreement(gold[one], given, self.margin) for one, given in rewards.items()})
        chosen = {one: gold[one][best(given)] for one, given in rewards.items()}
        average = {one: mean(values) for one, values in gold.items()}
        values = {
            "accuracy": accuracy,
            **_by_section("accuracy", samples, accuracy),
            "best_of_k": chosen,
            "mean_of_k": average,
            "oracle_of_k": {one: max(values) for one, values in gold.items()},
            "choice_gain": {one: chosen[one] - average[one] for one in chosen},
        }
        write_means(work, self.benchmark, values, differences=["choice_gain"])


@dataclass(frozen=True, eq=False)
class RewardComparison(Stage):
    """A reward model beside an earlier one on the same responses: their agreement and, by gold, who is right."""

    VERSION: ClassVar[int] = 1
    rewards: Stage
    earlier: Stage
    """The earlier model's rewards of the same responses."""
    which: str
    """Which model the earlier one is: "base" (r_0) or "previous" (r_{t-1})."""
    gold: Stage | None
    """Gold rewards of the responses, where there is a gold judge."""
    margin: float | None
    """Gold rewards that differ by at most this are equal."""

    def run(self, work: Work) -> None:
        """Compare prompt by prompt, so that differences are paired."""
        rewards, earlier = rewards_by_prompt(work, self.rewards), rewards_by_prompt(work, self.earlier)
        agreement = known({one: order_agreement(earlier[one], given) for one, given in rewards.items()})
        same_best = {one: float(best(given) == best(earlier[one])) for one, given in rewards.items()}
        values: dict[str, Mapping[str, float]] = {"agreement": agreement, "same_best": same_best}
        if self.gold is not None and self.margin is not None:
            gold = rewards_by_prompt(work, self.gold)
            before = known({one: order_agreement(gold[one], given, self.margin) for one, given in earlier.items()})
            after = known({one: order_agreement(gold[one], given, self.margin) for one, given in rewards.items()})
            values |= {
                "accuracy": before,
                "gain_over": {one: after[one] - before[one] for one in before},
                "choice_gain": {one: gold[one][best(given)] - mean(gold[one]) for one, given in earlier.items()},
            }
        named = {f"{name}_{self.which}": by_prompt for name, by_prompt in values.items()}
        write_means(work, "same_responses", named, differences=[f"gain_over_{self.which}", f"choice_gain_{self.which}"])


@dataclass(frozen=True, eq=False)
class LabelAccuracy(Stage):
    """How often the chosen response of a pair is the better one by gold, among pairs that gold tells apart: averaged
    over a prompt's pairs, then over prompts.

    Pairs of judgments (source "judge") answer no prompt of the data; gold does not know them.
    """

    VERSION: ClassVar[int] = 2
    pairs: Stage
    seed: int
    language: GoldLanguage
    kind: str
    """What the pairs are: "selected", "self_training" or "contrast"."""

    def run(self, work: Work) -> None:
        """Judge both responses of every pair."""
        gold, prefers = self.language.gold(self.seed), self.language.prefers
        pairs = [pair for pair in work.rows(Pair, self.pairs) if pair.source != "judge"]
        verdicts = [prefers(gold(pair.messages, pair.chosen), gold(pair.messages, pair.rejected)) for pair in pairs]
        right = prompt_means(
            (pair.prompt_id, pair.messages, float(verdict))
            for pair, verdict in zip(pairs, verdicts, strict=True)
            if verdict is not None
        )
        count = Metric("labels", f"{self.kind}_pairs", float(len(pairs)), n=len(pairs))
        write_means(work, "labels", {f"{self.kind}_accuracy": right}, count)


def _by_section(metric: str, samples: Sequence[Samples], values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the values of every section under "<metric>_<section>"."""
    found: dict[str, dict[str, float]] = {}
    for row in samples:
        if row.section is not None and row.prompt_id in values:
            section = f"{metric}_{row.section.lower().replace(' ', '_')}"
            found.setdefault(section, {})[row.prompt_id] = values[row.prompt_id]
    return dict(sorted(found.items()))
