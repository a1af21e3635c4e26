"""Rewards that are computed, not learnt: functions, judges, consensus."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from mt.errors import ConfigError, describe
from mt.methods.rewards.student import StudentReward
from mt.methods.steps import Steps
from mt.stages.rewards import ComputedReward
from mt.workflow.stage import Stage


class RewardWithoutModel(StudentReward):
    """A reward without a reward model; the M-step trains a student on pairs that it labels."""

    is_model: ClassVar[bool] = False

    @abstractmethod
    def rule(self, steps: Steps) -> ComputedReward:
        """Return what computes the rewards."""

    def base(self, steps: Steps) -> Stage:
        """Return what scores first: itself, or the student where it scores from the second E-step on."""
        if self.scores != "later":
            return self.rule(steps)
        if self.student in (None, "policy"):
            problem = "reward.scores=later lets the student score the first E-step, and this is no reward model"
            allowed = "model (reward.path, or the data's own), or a folder or hub name of a reward model"
            raise ConfigError(describe("reward.student", self.student, problem, allowed=allowed))
        return self.first_student(steps)

    def scorer(self, steps: Steps, number: int, base: Stage, current: Stage) -> Stage:
        """Return who scores the E-step of a number, from 1."""
        if self.scores == "later" and number > 1:
            return steps.add(self.rule(steps))
        return super().scorer(steps, number, base, current)
