"""A local judge model by transformers (judge=transformers)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.judging.answers import NAMES, preference_from_logprobs
from mt.engines.judging.base import JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.local import TOO_LONG, LocalJudge
from mt.engines.judging.template import Style
from mt.engines.settings import LogProbsConfig
from mt.types import Messages, Response


class TransformersJudge(LocalJudge):
    """A local judge model by transformers: log-probabilities of m and M, or a verdict text decoded greedily."""

    generator: TransformersGenerator
    """How verdict texts are written."""
    logprobs: LogProbsConfig
    """How the log-probabilities of m and M are computed."""

    def engine(self, style: Style) -> tuple[str, Any, int]:
        """Return what computes log-probabilities, or the generator."""
        return ("logprobs", self.logprobs, self.max_length) if self.weighs(style) else super().engine(style)

    def weigh_names(self, context: JudgeContext, prompts: Sequence[Messages]) -> Iterator[tuple[int, Answer]]:
        """Compare log π(m | prompt) with log π(M | prompt)."""
        rows = [(prompt, Response(name, 0, finished=False)) for prompt in prompts for name in NAMES]
        found: dict[int, float] = {}
        with context.open(self.logprobs) as policy:
            for at, value, _ in policy.logprobs(rows, self.max_length, "drop"):
                found[at] = value
                index, other = at // 2, at ^ 1
                if other not in found:
                    continue
                both = found[2 * index], found[2 * index + 1]
                if any(map(math.isnan, both)):
                    yield index, Answer(None, None, problem=TOO_LONG)
                else:
                    preference = preference_from_logprobs(dict(zip(NAMES, both, strict=True)))
                    yield index, Answer(preference, None, raw=f"{both[0]!r} {both[1]!r}")
