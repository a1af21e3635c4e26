"""What every generator is: its settings, and how it opens a policy that answers prompts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from mt.choice import Choice, Count
from mt.engines.settings import DecodingConfig, Dtype
from mt.engines.template import TemplateConfig
from mt.types import Prompt, Samples


class OpenPolicy(Protocol):
    """A policy that is ready to answer; `counts` says what happened so far, for the artifact's record."""

    counts: dict[str, int]

    def sample(
        self, prompts: Sequence[Prompt], decoding: DecodingConfig, seed: int, skip: Collection[str] = ()
    ) -> Iterator[Samples]:
        """Yield the K responses of each prompt as soon as they are finished, in no particular order.

        Responses keep their token ids as sampled, and their log-probability where the engine has it. They depend on
        the policy, the prompt, the decoding settings and the seed only. `skip` names prompts
        (by id) whose responses are there already: given the same prompts, a resumed run forms the same batches and
        so repeats the interrupted one to the bit. Prompts that leave no room for a response are dropped and counted
        or cut, as configured. Raises `EngineError` where the policy's logits are not finite.
        """
        ...


class Generator(Choice):
    """An engine that samples responses of a policy (`generator=`)."""

    GROUP: ClassVar[str] = "generator"
    PACKAGE: ClassVar[str] = "mt.engines.generation"

    dtype: Dtype
    """Precision of weights and activations; never guessed from the folder."""
    long_prompts: Literal["drop", "truncate"]
    """What happens to a prompt that leaves too little room for a response: dropped, or cut from the left."""
    min_response_tokens: Count
    """Tokens that a prompt has to leave for its response (at most max_new_tokens count)."""

    def responses_at_once(self, samples: int) -> int:
        """Return how many of a prompt's responses have to be in memory together: all that are decoded as one batch."""
        return samples

    def check(self) -> None:
        """Raise ConfigError where the engine is not installed; GPUs are counted where it is opened."""

    @abstractmethod
    def open(self, folder: Path, template: TemplateConfig | None = None) -> AbstractContextManager[OpenPolicy]:
        """Open the policy in `folder`; memory is given back at the block's end.

        `template` says how prompts are rendered; None takes the folder's own template with its default settings.
        Raises ModelError for a folder that cannot serve, before any weight is loaded.
        """
