"""A judge as reward (reward=judge): a score from 1 to 10 of each response."""

from __future__ import annotations

from mt.engines.judging import Judge as JudgeSettings
from mt.errors import ConfigError, describe
from mt.methods.judging import judging_inputs
from mt.methods.rewards.computed import RewardWithoutModel
from mt.methods.steps import Steps
from mt.stages.rewards import ComputedReward, JudgeReward


class Judge(RewardWithoutModel):
    """A judge scores each response by itself from 1 to 10, with the cache, the limits and the costs of evaluation."""

    judge: JudgeSettings
    """Who scores: the run's judge, or another."""

    def rule(self, steps: Steps) -> ComputedReward:
        """Return the judge."""
        how = judging_inputs(steps, self.judge, "score", None)
        if self.judge.model_kind is not None and how.model is None:
            problem = "the run has no base reward model to ask, as its reward is this judge"
            raise ConfigError(describe("judge.path", None, problem, fix="Add judge.path=DIR, or another judge="))
        return JudgeReward(self.judge, how.model, how.oracle, how.template, how.chat_template)

    @property
    def needs_gold(self) -> bool:
        """Whether the judge is the gold one."""
        return self.judge.needs_gold
