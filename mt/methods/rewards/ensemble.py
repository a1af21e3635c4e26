"""Several reward models as one (reward=ensemble), against over-optimisation of a single one (Coste et al. 2023)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mt.choice import NotNegative
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe
from mt.methods.rewards.student import configured_student
from mt.methods.rewards.train import Train
from mt.methods.steps import Steps
from mt.sources.references import named_model
from mt.stages.rewards import EnsembleReward
from mt.workflow.stage import Stage

_MEMBERS = Annotated[int, Field(ge=0, le=100)]


class Ensemble(Train):
    """The mean, the minimum, or the mean less k standard deviations of several reward models' rewards."""

    is_model: ClassVar[bool] = False

    models: list[str]
    """Reward models: local folders, or hub names with a pinned commit (OWNER/NAME@COMMIT)."""
    trained: _MEMBERS
    """Further ones, each trained as reward=train does it, by a seed of its own."""
    combine: Literal["mean", "min", "lower_bound"]
    """How a response's rewards become one; lower_bound is the mean less k standard deviations over the models."""
    k: NotNegative
    """Standard deviations, at least 0, that lower_bound subtracts."""
    retrained: _MEMBERS | None
    """How many of the models an M-step retrains, from the first on, each by a seed of its own; null retrains all."""

    @model_validator(mode="after")
    def _has_several(self) -> Self:
        if len(self.models) + self.trained < 2:
            fix = "Name two or more by reward.models=[DIR,DIR], or set reward.trained=2"
            raise ConfigError(describe("reward.models", self.models, "an ensemble has at least two models", fix=fix))
        if (self.retrained or 0) > (count := len(self.models) + self.trained):
            allowed = f"0 to {count}, or null for all of them"
            raise ConfigError(describe("reward.retrained", self.retrained, "more than there are", allowed=allowed))
        return self

    @property
    def needs_path(self) -> bool:
        """Only where models are trained from it."""
        return self.trained > 0 and super().needs_path

    def base(self, steps: Steps) -> Stage:
        """Return the ensemble before any M-step."""
        given = [steps.add(self._named(steps.config, name)) for name in self.models]
        trained = [steps.add(self.trained_model(steps, f"base reward {n}")) for n in range(1, self.trained + 1)]
        return EnsembleReward((*given, *trained), self.combine, self.k, self.retrained)

    def reader(self, config: RunConfig) -> Stage | None:
        """Return the first given model."""
        if self.models:
            return self._named(config, self.models[0])
        return configured_student(config, self.student)

    def _named(self, config: RunConfig, name: str) -> Stage:
        local = Path(name).expanduser().exists()  # also with an @ in its name
        path, _, revision = (name, "", "") if local else name.partition("@")
        if not revision and not local:
            allowed = "local folders, or OWNER/NAME@COMMIT with the 40 hex digits of a commit"
            raise ConfigError(describe("reward.models", name, "no such folder", allowed=allowed))
        has_template = self.chat_template is None
        return named_model(config, "reward", path, revision or None, has_template=has_template, setting="reward.models")
