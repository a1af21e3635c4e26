"""A judge model on this machine: log-probabilities of the two names, or a text that it writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mt.engines.generation.vllm_engine import VllmPolicy
from mt.engines.judging.answers import NAMES, preference_from_logprobs, read_answer, read_logprobs
from mt.engines.judging.base import Asked
from mt.engines.judging.cache import Answer
from mt.engines.judging.local import LocalJudge
from mt.engines.judging.protocol import Keep, Question
from mt.engines.judging.template import load_template
from mt.engines.judging.transformers import TransformersJudge
from mt.engines.judging.vllm import VllmJudge
from mt.engines.settings import DecodingConfig
from mt.types import Prompt, Response

TOO_LONG = "the comparison is longer than max_length"


class LocalBackend:
    """Asks a model folder through the project's own engines."""

    def __init__(self, config: LocalJudge, asked: Asked):
        """Take the judge model's folder and its fingerprint, which is the judge's version."""
        self._config, self._model = config, config.model_folder(asked)
        style, chat_template = asked.style, asked.chat_template
        self._style, self._chat_template = style, chat_template
        self._template = load_template(config.prompt_choice(style), style, official=config.official)
        self.name: str = config.name
        self.version = f"{asked.version}/{self._template.version}"
        self.identity: Mapping[str, Any] = {
            "template": self._template.digest,
            "chat_template": chat_template.identity() if chat_template else None,
            "max_length": config.max_length,
            "max_tokens": config.max_tokens,
            "generator": config.generator.identity(),
            "by": config.preference_by,
        }
        if isinstance(config, VllmJudge):
            self.identity = {**self.identity, "top_logprobs": config.top_logprobs}

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield the answers as they are computed."""
        for index, answer in self._way()(questions):
            keep(index, answer)
            yield index, answer

    def _way(self) -> Callable[[Sequence[Question]], Iterator[tuple[int, Answer]]]:
        if self._style == "verdict" or self._config.preference_by == "text":
            return self._by_text
        return self._by_logprobs if isinstance(self._config, TransformersJudge) else self._by_first_token

    def _by_first_token(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Find m and M among the answer's likeliest first tokens, as an endpoint tells them."""
        assert isinstance(self._config, VllmJudge)
        length, most = self._config.max_length, self._config.top_logprobs
        policy = VllmPolicy(self._config.generator, self._model, self._chat_template)
        found = policy.first_tokens(self._prompts(questions), length, most)
        answers = ((int(name), read_logprobs(top)) for name, top in found)
        yield from _and_too_long(answers, len(questions))

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
        length, template = self._config.max_length, self._chat_template
        for at, value, _ in response_logprobs(self._config.logprobs, self._model, rows, length, "drop", template):
            found[at] = value
            index, other = at // 2, at ^ 1
            if other in found:
                yield index, _weighed(found[2 * index], found[2 * index + 1])

    def _by_text(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Let the judge write, greedily, and read its answer."""
        decoding = DecodingConfig(
            samples=1,
            temperature=0.0,
            top_p=1.0,
            max_new_tokens=self._config.max_tokens,
            max_length=self._config.max_length,
        )
        with self._config.generator.open(self._model, self._chat_template) as policy:
            found = policy.sample(self._prompts(questions), decoding, seed=0)
            answers = ((int(row.prompt_id), self._read(row.responses[0])) for row in found)
            yield from _and_too_long(answers, len(questions))

    def _read(self, response: Response) -> Answer:
        return read_answer(response.text, self._style, cut=not response.finished)

    def _prompts(self, questions: Sequence[Question]) -> list[Prompt]:
        return [Prompt(str(at), self._template.fill(*question)) for at, question in enumerate(questions)]


def _and_too_long(answers: Iterator[tuple[int, Answer]], n: int) -> Iterator[tuple[int, Answer]]:
    """Yield the answers, then why there is none for the others: the generator dropped their prompts."""
    left = set(range(n))
    for index, answer in answers:
        left.discard(index)
        yield index, answer
    for index in sorted(left):
        yield index, Answer(None, None, problem=TOO_LONG)


def _weighed(first: float, second: float) -> Answer:
    if math.isnan(first) or math.isnan(second):
        return Answer(None, None, problem=TOO_LONG)
    preference = preference_from_logprobs(dict(zip(NAMES, (first, second), strict=True)))
    return Answer(preference, None, raw=f"{first!r} {second!r}")
