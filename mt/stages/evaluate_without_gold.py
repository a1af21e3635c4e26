"""Evaluation without a gold judge: policies by a reward model, reward models by own pairs and by disagreements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mt.stages.metrics import mean, prompt_means, rewards_by_prompt, win_rate, win_rates, write_means
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.store import write_json
from mt.workflow.work import Work

DISAGREEMENTS = "disagreements.json"
_MOST = 10


@dataclass(frozen=True, eq=False)
class ProxyReward(Stage):
    """Win rate against the base policy as one reward model sees it; by r_0 the mean reward and the length, too.

    Only r_0's mean reward is a metric: every other reward model has a scale of its own in every iteration.
    """

    VERSION: ClassVar[int] = 2
    samples: Stage
    rewards: Stage
    base_rewards: Stage
    """The same reward model's rewards of the base policy's responses."""
    judge: str
    """Whose rewards they are: "base" (r_0) or "current" (r_t)."""

    def run(self, work: Work) -> None:
        """Average over the responses of a prompt, then over prompts."""
        samples, rewards = work.rows(Samples, self.samples), work.rows(Rewards, self.rewards)
        wins = win_rates(work, rewards, self.base_rewards)
        if self.judge != "base":
            write_means(work, "proxy", {"win_rate": wins})
            return
        values = {
            "mean_reward_base": {row.prompt_id: mean(row.rewards) for row in rewards},
            "win_rate_base": wins,
            "length": {row.prompt_id: mean([len(response.text) for response in row.responses]) for row in samples},
        }
        write_means(work, "proxy", values)


@dataclass(frozen=True, eq=False)
class PreferenceAccuracy(Stage):
    """How often a reward model puts the chosen answer first, on preference pairs that train nothing."""

    VERSION: ClassVar[int] = 2
    pairs: Stage
    """Samples of two answers, the chosen one first."""
    rewards: Stage

    def run(self, work: Work) -> None:
        """Average over the pairs of a prompt, then over prompts; a tie counts half."""
        right = prompt_means(
            (pair.prompt_id, pair.messages, win_rate(row.rewards[:1], row.rewards[1:]))
            for pair, row in zip(work.rows(Samples, self.pairs), work.rows(Rewards, self.rewards), strict=True)
        )
        write_means(work, "preferences", {"accuracy": right})


@dataclass(frozen=True, eq=False)
class Disagreements(Stage):
    """The ten pairs of responses, one per prompt, that r_t and r_0 order oppositely by the largest margins."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage
    base: Stage
    """The rewards of the same responses by r_0."""
    previous: Stage | None
    """Those by r_{t-1}; None where that is r_0."""

    def run(self, work: Work) -> None:
        """Write each pair with the three models' margins, in units of each model's spread."""
        from mt.evaluation.disagreement import disagreements, spread

        given, base = rewards_by_prompt(work, self.rewards), rewards_by_prompt(work, self.base)
        previous = rewards_by_prompt(work, self.previous) if self.previous else {}
        unit, samples = spread(previous), {row.prompt_id: row for row in work.rows(Samples, self.samples)}
        rows: list[dict[str, Any]] = []
        for pair in disagreements(given, base, _MOST):
            row = samples[pair.prompt_id]
            margins = {"current": pair.first_margin, "base": -pair.second_margin}
            if earlier := previous.get(pair.prompt_id):
                margins["previous"] = (earlier[pair.one] - earlier[pair.other]) / unit
            texts = {"preferred": row.responses[pair.one].text, "other": row.responses[pair.other].text}
            rows.append({"prompt_id": pair.prompt_id, "messages": row.messages, **texts, "margins": margins})
        write_json(work.folder / DISAGREEMENTS, rows)
        work.count(pairs=len(rows))
        work.write_metrics([])
