"""Settings of the methods and of the data that a reward model is retrained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mt.config.base import Config


class MutualTaught(Config):
    """E-steps and M-steps in turn (Algorithm 1)."""

    name: Literal["mutual_taught"]


class Offline(Config):
    """One training on responses of the base policy, scored by the base reward model."""

    name: Literal["offline"]
    parts: Annotated[int, Field(ge=1)]
    """Parts in which the prompts are sampled; 3 as in the paper's iterative methods, so that they share samples."""


class Iterative(Config):
    """One training per part of the prompts, under a frozen reward model."""

    name: Literal["iterative"]


MethodConfig = Annotated[MutualTaught | Offline | Iterative, Field(discriminator="name")]


class RewardDataConfig(Config):
    """What an M-step retrains the reward model on (§5.3); with neither kind of pairs it stays the base model."""

    name: str
    """The choice's own name, for tables."""
    self_training: bool
    """Use D(PM): the new policy's responses, one pair per prompt, labelled by a reward model."""
    contrast: bool
    """Use D(PM_new, PM_old): a response of the new policy over one of the old policy."""
    labels: Literal["reward", "gold"]
    """Who orders the pairs: the method itself, or the world's gold judge (the positive control)."""
