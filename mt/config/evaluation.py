"""Settings of what is measured after every iteration (`eval=[…]`, one entry a benchmark)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mt.config.base import Config
from mt.config.engines import DecodingConfig

Count = Annotated[int, Field(ge=1)]


class GoldEval(Config):
    """The world's gold judge on held-out prompts and on held-out preference pairs."""

    prompts: Count
    """Held-out prompts on which policies are compared."""
    pairs: Count
    """Held-out corruption pairs per section on which reward models are judged."""
    decoding: DecodingConfig
    """How the policies answer."""


class EvalConfig(Config):
    """The benchmarks of a run; those that are absent are not measured."""

    gold: GoldEval | None = None
