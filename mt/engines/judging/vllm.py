"""A local judge model by vLLM (judge=vllm)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mt.engines.generation.vllm import VllmGenerator
from mt.engines.judging.local import LocalJudge


class VllmJudge(LocalJudge):
    """A local judge model by vLLM: log-probabilities of m and M, or a text decoded greedily."""

    top_logprobs: Annotated[int, Field(ge=2, le=20)]
    """Likeliest first tokens among which m and M are looked for; vLLM tells at most 20."""
    generator: VllmGenerator
    """How texts are written."""
