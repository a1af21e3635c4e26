"""A judge model on this machine, of judge=transformers or judge=vllm: its settings, and how it is asked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from mt.choice import Length
from mt.engines.generation import Generator
from mt.engines.judging.answers import read_answer
from mt.engines.judging.base import JudgeContext, PromptedJudge
from mt.engines.judging.cache import Answer
from mt.engines.judging.protocol import Keep, Question
from mt.engines.judging.template import Style
from mt.engines.settings import DecodingConfig
from mt.engines.template import RenderedConfig
from mt.types import Messages, Prompt

TOO_LONG = "the comparison is longer than max_length"


class LocalJudge(PromptedJudge, RenderedConfig):
    """What a judge model on this machine needs."""

    model_kind: ClassVar[Literal["policy", "reward"] | None] = "policy"

    path: str
    """A local folder or a hub name."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    preference_by: Literal["logprobs", "text"]
    """Weighted preferences from the log-probabilities of m and M as the answer's beginning, or 1 and 2 from the text:
    of judges that think before they answer."""
    max_length: Length
    """Longest prompt and answer together, in tokens; a longer comparison is not judged and counted as missing."""
    generator: Generator
    """How texts are written."""

    def engine(self, style: Style) -> tuple[str, Any, int]:
        """Return the generator."""
        return "generator", self.generator, self.max_length

    def check(self) -> None:
        """Refuse a generator that is not installed."""
        self.generator.check()

    def weighs(self, style: Style) -> bool:
        """Return whether it answers by the log-probabilities of m and M, and writes no text."""
        return style == "preference" and self.preference_by == "logprobs"

    @property
    def reading(self) -> Mapping[str, Any]:
        """What else shapes an answer by log-probabilities."""
        return {}

    @abstractmethod
    def weigh_names(self, context: JudgeContext, prompts: Sequence[Messages]) -> Iterator[tuple[int, Answer]]:
        """Yield (index, preference) of the prompts by the log-probabilities of m and M as the answer's beginning.

        Prompts that are longer than `max_length` may be left out.
        """

    def backend(self, context: JudgeContext) -> LocalBackend:
        """Return the judge model."""
        return LocalBackend(self, context)


class LocalBackend:
    """Asks a model folder through the project's own engines: log-probabilities of the two names, or a text."""

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
