"""Evaluation by the world's gold judge: policies, reward models, labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mt.stages.metrics import mean, mean_metrics, win_rate
from mt.types import Metric, Pair, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work
from mt.world.settings import LanguageConfig


@dataclass(frozen=True, eq=False)
class GoldPolicyMetrics(Stage):
    """A policy against the base policy by gold reward on held-out prompts: win rate, mean reward, length."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    gold: Stage
    base_gold: Stage

    def run(self, work: Work) -> None:
        """Compare every response with every response of the base policy to the same prompt; a tie counts half."""
        samples, gold = work.rows(Samples, self.samples), work.rows(Rewards, self.gold)
        base = {row.prompt_id: row.rewards for row in work.rows(Rewards, self.base_gold)}
        wins = [win_rate(row.rewards, base[row.prompt_id]) for row in gold]
        quality = [mean(row.rewards) for row in gold]
        values = {
            "win_rate": wins,
            "mean_reward": quality,
            "length": [mean([response.n_tokens for response in row.responses]) for row in samples],
            **_by_section("mean_reward", samples, quality),
        }
        work.write_metrics(mean_metrics("gold", values))


@dataclass(frozen=True, eq=False)
class GoldRewardMetrics(Stage):
    """A reward model's agreement with gold on a policy's own responses, and its best of K."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    gold: Stage
    rewards: Stage
    language: LanguageConfig
    benchmark: str
    """What the metrics are called, by what was scored: "gold" or "gold_base"."""

    def run(self, work: Work) -> None:
        """Count pairs that gold tells apart and the reward model orders like gold; a tie counts half."""
        samples = work.rows(Samples, self.samples)
        gold, rewards = work.rows(Rewards, self.gold), work.rows(Rewards, self.rewards)
        margin = self.language.gold_margin
        accuracy = [_agreement(g.rewards, r.rewards, margin) for g, r in zip(gold, rewards, strict=True)]
        best = [g.rewards[_argmax(r.rewards)] for g, r in zip(gold, rewards, strict=True)]
        values = {
            "accuracy": _known(accuracy),
            **_by_section("accuracy", samples, accuracy),
            "best_of_k": best,
            "mean_of_k": [mean(row.rewards) for row in gold],
            "oracle_of_k": [max(row.rewards) for row in gold],
        }
        work.write_metrics(mean_metrics(self.benchmark, values))


@dataclass(frozen=True, eq=False)
class LabelAccuracy(Stage):
    """How often the chosen response of a pair is the better one by gold, among pairs that gold tells apart.

    Pairs of judgments (source "judge") answer no prompt of the world; gold does not know them.
    """

    VERSION: ClassVar[int] = 1
    pairs: Stage
    seed: int
    language: LanguageConfig
    kind: str
    """What the pairs are: "selected", "self_training" or "contrast"."""

    def run(self, work: Work) -> None:
        """Judge both responses of every pair."""
        from mt.world.gold import gold_prefers
        from mt.world.world import build_world

        world = build_world(self.seed, self.language)
        pairs = [pair for pair in work.rows(Pair, self.pairs) if pair.source != "judge"]
        verdicts = [gold_prefers(world, pair.messages, pair.chosen.text, pair.rejected.text) for pair in pairs]
        right = [float(verdict) for verdict in verdicts if verdict is not None]
        count = Metric("labels", f"{self.kind}_pairs", float(len(pairs)), n=len(pairs))
        work.write_metrics([*mean_metrics("labels", {f"{self.kind}_accuracy": right}), count])


def _agreement(gold: Sequence[float], rewards: Sequence[float], margin: float) -> float | None:
    """Return the share of response pairs ordered like gold, or None where gold tells none apart."""
    scores = [
        float((gold[i] > gold[j]) == (rewards[i] > rewards[j])) if rewards[i] != rewards[j] else 0.5
        for i in range(len(gold))
        for j in range(i)
        if abs(gold[i] - gold[j]) > margin
    ]
    return mean(scores) if scores else None


def _by_section(metric: str, samples: Sequence[Samples], values: Sequence[float | None]) -> dict[str, list[float]]:
    """Return the known values of every section under "<metric>_<section>"."""
    found: dict[str, list[float]] = {}
    for row, value in zip(samples, values, strict=True):
        if row.section is not None and value is not None:
            found.setdefault(f"{metric}_{row.section.lower().replace(' ', '_')}", []).append(value)
    return dict(sorted(found.items()))


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _argmax(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)
