"""A reward model (reward=model): the paper's."""

from __future__ import annotations

from mt.config.reward import Reward
from mt.config.run import RunConfig
from mt.methods.rewards.student import configured_student, student
from mt.methods.steps import Steps
from mt.workflow.stage import Stage


class Model(Reward):
    """The reward model that `path` names, or that the data brings."""

    def base(self, steps: Steps) -> Stage:
        """Return r_0."""
        return student(steps, "model")

    def first_student(self, steps: Steps) -> Stage:
        """Return r_0."""
        return self.base(steps)

    def reader(self, config: RunConfig) -> Stage | None:
        """Return the model that `path` names."""
        return configured_student(config, "model")
