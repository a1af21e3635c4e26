"""The proxy reward of a policy: what a reward model thinks of its responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mt.stages.metrics import mean, mean_metrics, win_rate
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class ProxyReward(Stage):
    """Mean reward, win rate against the base policy, and length, as one reward model sees them."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage
    base_rewards: Stage
    """The same reward model's rewards of the base policy's responses."""
    judge: str
    """Whose rewards they are: "base" (r_0) or "current" (r_t)."""

    def run(self, work: Work) -> None:
        """Average over the responses of a prompt, then over prompts."""
        samples, rewards = work.rows(Samples, self.samples), work.rows(Rewards, self.rewards)
        base = {row.prompt_id: row.rewards for row in work.rows(Rewards, self.base_rewards)}
        suffix = "_base" if self.judge == "base" else ""
        values = {
            f"mean_reward{suffix}": [mean(row.rewards) for row in rewards],
            f"win_rate{suffix}": [win_rate(row.rewards, base[row.prompt_id]) for row in rewards],
        }
        if self.judge == "base":
            values["length"] = [mean([len(r.text) for r in row.responses]) for row in samples]
        work.write_metrics(mean_metrics("proxy", values))
