"""The run graph: for every iteration of a method its models and the tables that they were trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mt.workflow.stage import Stage

Model = Literal["policy", "reward"]
Found = Iterator[tuple[Model, Stage]]
"""The stages that measure an iteration, each with the model that its metrics are of."""


@dataclass(frozen=True)
class Iteration:
    """One iteration; iteration 0 is where a method starts. What a method does not make is None."""

    index: int
    policy: Stage
    reward: Stage
    samples: Stage | None = None
    """Responses that the policy's pairs were selected from."""
    rewards: Stage | None = None
    """Their rewards."""
    selected: Stage | None = None
    """Pairs that the policy was trained on."""
    self_training: Stage | None = None
    """D(PM): pairs of the new policy's responses."""
    contrast: Stage | None = None
    """D(PM_new, PM_old): pairs of a new and an old response."""


@dataclass(frozen=True)
class RunGraph:
    """The iterations of a run, the base models first."""

    iterations: tuple[Iteration, ...]
    reward_prompts: Stage | None = None
    """D_R: the prompts that the reward model learns from, where there are any."""

    @property
    def base(self) -> Iteration:
        """Where the method started."""
        return self.iterations[0]

    @property
    def final(self) -> Iteration:
        """Where it ended."""
        return self.iterations[-1]
