"""A judge model on this machine: log-probabilities of the two names, or a text that it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mt.engines.judging.answers import read_answer
from mt.engines.judging.base import JudgeContext
from mt.engines.judging.cache import Answer
from mt.engines.judging.local import TOO_LONG, LocalJudge
from mt.engines.judging.protocol import Keep, Question
from mt.engines.settings import DecodingConfig
from mt.types import Messages, Prompt


class LocalBackend:
    """Asks a model folder through the project's own engines."""

    def __init__(self, config: LocalJudge, context: JudgeContext):
        """Take the judge model's folder and its fingerprint, which is the judge's version."""
        config.require_model(context)
        self._config, self._context, chat_template = config, context, context.chat_template
        self._template = config.prompt(context.style)
        self.name: str = config.name
        self.version = f"{context.version}/{self._template.version}"
        self.identity: Mapping[str, Any] = {
            "template": self._template.digest,
            "chat_template": chat_template.identity() if chat_template else None,
            "max_length": config.max_length,
            "max_tokens": config.max_tokens,
            "generator": config.generator.identity(),
            "by": config.preference_by,
            **config.reading,
        }

    def ask(self, questions: Sequence[Question], keep: Keep) -> Iterator[tuple[int, Answer]]:
        """Yield the answers as they are computed, then why there is none for the others: their prompts are too long."""
        config, prompts = self._config, [self._template.fill(*question) for question in questions]
        if config.weighs(self._context.style):
            answers = config.weigh_names(self._context, prompts)
        else:
            answers = self._by_text(prompts)
        left = set(range(len(questions)))
        for index, answer in answers:
            left.discard(index)
            keep(index, answer)
            yield index, answer
        for index in sorted(left):
            answer = Answer(None, None, problem=TOO_LONG)
            keep(index, answer)
            yield index, answer

    def _by_text(self, prompts: Sequence[Messages]) -> Iterator[tuple[int, Answer]]:
        """Let the judge write, greedily, and read its answer."""
        decoding = DecodingConfig(
            samples=1,
            temperature=0.0,
            top_p=1.0,
            max_new_tokens=self._config.max_tokens,
            max_length=self._config.max_length,
        )
        questions = [Prompt(str(at), messages) for at, messages in enumerate(prompts)]
        with self._context.open(self._config.generator) as policy:
            for row in policy.sample(questions, decoding, seed=0):
                response = row.responses[0]
                yield int(row.prompt_id), read_answer(response.text, self._context.style, cut=not response.finished)
