"""The proxy reward of a policy: what a reward model thinks of its responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mt.stages.metrics import mean, win_rate, write_means
from mt.types import Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.work import Work


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
        base = {row.prompt_id: row.rewards for row in work.rows(Rewards, self.base_rewards)}
        wins = {row.prompt_id: win_rate(row.rewards, base[row.prompt_id]) for row in rewards}
        if self.judge != "base":
            write_means(work, "proxy", {"win_rate": wins})
            return
        values = {
            "mean_reward_base": {row.prompt_id: mean(row.rewards) for row in rewards},
            "win_rate_base": wins,
            "length": {row.prompt_id: mean([len(response.text) for response in row.responses]) for row in samples},
        }
        write_means(work, "proxy", values)
