"""A local judge model by transformers (judge=transformers)."""

from __future__ import annotations

from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.judging.local import LocalJudge
from mt.engines.settings import LogProbsConfig


class TransformersJudge(LocalJudge):
    """A local judge model by transformers: log-probabilities of m and M, or a verdict text decoded greedily."""

    generator: TransformersGenerator
    """How verdict texts are written."""
    logprobs: LogProbsConfig
    """How the log-probabilities of m and M are computed."""
