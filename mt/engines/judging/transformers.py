"""A local judge model by transformers (judge=transformers)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.judging.answers import NAMES, preference_from_logprobs
from mt.engines.judging.cache import Answer
from mt.engines.judging.local import TOO_LONG, LocalJudge
from mt.engines.settings import LogProbsConfig
from mt.engines.template import TemplateConfig
from mt.types import Messages, Response


class TransformersJudge(LocalJudge):
    """A local judge model by transformers: log-probabilities of m and M, or a verdict text decoded greedily."""

    generator: TransformersGenerator
    """How verdict texts are written."""
    logprobs: LogProbsConfig
    """How the log-probabilities of m and M are computed."""

    def weigh_names(
        self, model: Path, prompts: Sequence[Messages], template: TemplateConfig | None
    ) -> Iterator[tuple[int, Answer]]:
        """Compare log π(m | prompt) with log π(M | prompt)."""
        from mt.engines.scoring.logprobs import response_logprobs

        rows = [(prompt, Response(name, 0, finished=False)) for prompt in prompts for name in NAMES]
        found: dict[int, float] = {}
        for at, value, _ in response_logprobs(self.logprobs, model, rows, self.max_length, "drop", template):
            found[at] = value
            index, other = at // 2, at ^ 1
            if other in found:
                yield index, _weighed(found[2 * index], found[2 * index + 1])


def _weighed(first: float, second: float) -> Answer:
    if math.isnan(first) or math.isnan(second):
        return Answer(None, None, problem=TOO_LONG)
    preference = preference_from_logprobs(dict(zip(NAMES, (first, second), strict=True)))
    return Answer(preference, None, raw=f"{first!r} {second!r}")
