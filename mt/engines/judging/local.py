"""A judge model on this machine: what judge=transformers and judge=vllm have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mt.choice import Length
from mt.engines.generation import Generator
from mt.engines.judging.base import JudgeContext, PromptedJudge
from mt.engines.judging.cache import Answer
from mt.engines.judging.template import Style
from mt.engines.template import RenderedConfig
from mt.types import Messages

if TYPE_CHECKING:
    from mt.engines.judging.local_judge import LocalBackend

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
        from mt.engines.judging.local_judge import LocalBackend

        return LocalBackend(self, context)
