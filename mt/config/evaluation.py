"""Settings of what is measured after every iteration (`eval=[…]`, one entry a benchmark)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mt.config.base import Config
from mt.config.engines import DecodingConfig

Count = Annotated[int, Field(ge=1)]


class HeldOutEval(Config):
    """Policies and reward models on prompts that trained nothing."""

    prompts: Count
    """Held-out prompts; at most so many, where the user's own data has fewer."""
    decoding: DecodingConfig
    """How the policies answer."""


class EvalConfig(Config):
    """The benchmarks of a run; those that are absent are not measured."""

    held_out: HeldOutEval | None = None
