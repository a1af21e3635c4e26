"""The model that an M-step trains where the reward itself is none, or is trained by the run."""

from __future__ import annotations

from mt.config.reward import Reward
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.methods.steps import Steps
from mt.sources.references import configured_model, named_model
from mt.workflow.stage import Stage


class StudentReward(Reward):
    """A reward beside which a model is trained."""

    student: str | None
    """What is trained: policy (the policy's own weights with a new head), model (the reward model that `reward.path`
    names, or that the data brings), or a folder or hub name of another; null trains nothing (rm_data=frozen)."""

    @property
    def needs_path(self) -> bool:
        """Only as the student."""
        return self.student == "model"

    def first_student(self, steps: Steps) -> Stage:
        """Return the student before any training; raises ConfigError where an M-step has nothing to train."""
        if self.student is None:
            problem = f"rm_data={steps.config.rm_data.name} trains a reward model, and reward={self.name} is none"
            allowed = "policy, model (reward.path, or the data's own), or a folder or hub name"
            raise ConfigError(describe("reward.student", None, problem, allowed=allowed, fix="Or set rm_data=frozen"))
        return student(steps, self.student)

    def reader(self, config: RunConfig) -> Stage | None:
        """Return the student where it is a given model."""
        return None if self.student is None else configured_student(config, self.student)


def student(steps: Steps, name: str) -> Stage:
    """Return the model that `reward.student` names: policy, model, or a path."""
    if name == "policy":
        return steps.base_policy()
    given = configured_student(steps.config, name)
    return steps.source.reward() if given is None else given


def configured_student(config: RunConfig, name: str) -> Stage | None:
    """Return the same where the user gives it; None where the data brings it."""
    if name == "policy":
        return configured_model(config, "policy") if config.policy.path else None
    if name == "model":
        return configured_model(config, "reward") if config.reward.path else None
    has_template = config.reward.chat_template is None
    revision = config.reward.revision
    return named_model(config, "reward", name, revision, has_template=has_template, setting="reward.student")
