"""A local judge model by vLLM (judge=vllm)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from mt.engines.generation.vllm import VllmGenerator
from mt.engines.judging.answers import read_logprobs
from mt.engines.judging.base import JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.local import LocalJudge
from mt.types import Messages, Prompt


class VllmJudge(LocalJudge):
    """A local judge model by vLLM: log-probabilities of m and M, or a text decoded greedily."""

    top_logprobs: Annotated[int, Field(ge=2, le=20)]
    """Likeliest first tokens among which m and M are looked for; vLLM returns at most 20."""
    generator: VllmGenerator
    """How texts are written."""

    @property
    def reading(self) -> Mapping[str, Any]:
        """How many first tokens are looked through."""
        return {"top_logprobs": self.top_logprobs}

    def weigh_names(self, context: JudgeContext, prompts: Sequence[Messages]) -> Iterator[tuple[int, Answer]]:
        """Find m and M among the answer's likeliest first tokens, as an endpoint returns them."""
        named = [Prompt(str(at), messages) for at, messages in enumerate(prompts)]
        with context.open(self.generator) as policy:
            for name, top in policy.first_tokens(named, self.max_length, self.top_logprobs):
                yield int(name), read_logprobs(top)
