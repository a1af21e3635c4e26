"""A judge model on this machine: log-probabilities of the two names, or a text that it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mt.config.engines import DecodingConfig
from mt.config.judge import TransformersJudge, VllmJudge
from mt.engines.generation import open_generator
from mt.engines.judging.answers import NAMES, preference_from_logprobs, read_answer
from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question
from mt.engines.judging.template import Style, load_template
from mt.types import Prompt, Response

TOO_LONG = "the comparison is longer than max_length"
_NAME_TOKENS = 4  # room for a space or a quotation mark around m or M


class LocalAsker:
    """Asks a model folder through the project's own engines."""

    def __init__(self, config: TransformersJudge | VllmJudge, model: Path, version: str, style: Style):
        """Take the judge model's folder and its fingerprint, which is the judge's version."""
        choice = config.preference_template if style == "preference" else config.verdict_template
        self._config, self._model, self._style = config, model, style
        self._template = load_template(choice, style)
        self.name: str = config.name
        self.version = f"{version}/{self._template.digest[:8]}"
        self.identity: Mapping[str, Any] = {
            "template": self._template.digest,
            "max_length": config.max_length,
            "max_tokens": config.max_tokens,
            "generator": config.generator.identity(),
        }

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield the answers as they are computed."""
        by_logprobs = self._style == "preference" and isinstance(self._config, TransformersJudge)
        for index, answer in self._by_logprobs(questions) if by_logprobs else self._by_text(questions):
            keep(index, answer)
            yield index, answer

    def _by_logprobs(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Compare log π(m | prompt) with log π(M | prompt)."""
        from mt.engines.scoring.logprobs import response_logprobs

        assert isinstance(self._config, TransformersJudge)
        rows = [
            (self._template.fill(*question), Response(name, 0, finished=False))
            for question in questions
            for name in NAMES
        ]
        found: dict[int, float] = {}
        length = self._config.max_length
        for at, value, _ in response_logprobs(self._config.logprobs, self._model, rows, length, "drop"):
            found[at] = value
            index, other = at // 2, at ^ 1
            if other in found:
                yield index, _weighed(found[2 * index], found[2 * index + 1])

    def _by_text(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Let the judge write, greedily, and read its answer."""
        prompts = [Prompt(str(at), self._template.fill(*question)) for at, question in enumerate(questions)]
        tokens = self._config.max_tokens if self._style == "verdict" else _NAME_TOKENS
        decoding = DecodingConfig(
            samples=1, temperature=0.0, top_p=1.0, max_new_tokens=tokens, max_length=self._config.max_length
        )
        open_prompts = set(range(len(prompts)))
        with open_generator(self._config.generator, self._model) as generator:
            for samples in generator.sample(prompts, decoding, seed=0):
                index = int(samples.prompt_id)
                open_prompts.discard(index)
                yield index, read_answer(samples.responses[0].text, self._style)
        for index in sorted(open_prompts):
            yield index, Answer(None, None, problem=TOO_LONG)


def _weighed(first: float, second: float) -> Answer:
    if math.isnan(first) or math.isnan(second):
        return Answer(None, None, problem=TOO_LONG)
    preference = preference_from_logprobs(dict(zip(NAMES, (first, second), strict=True)))
    return Answer(preference, None, raw=f"{first!r} {second!r}")
