"""What every scorer is: its settings, and how it opens a reward model that scores conversations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from mt.choice import Choice, Length
from mt.engines.settings import Dtype
from mt.engines.template import TemplateConfig
from mt.types import Messages

Item = tuple[Messages, str, bool]
"""A conversation to score: the prompt's messages, the answer's text, and whether the answer ended by itself.

The template closes every answer's turn, as it does in reward-model training, whether it ended by itself or not.
"""


class OpenRewardModel(Protocol):
    """A reward model that is ready to score; `counts` says what happened so far, for the artifact's record."""

    counts: dict[str, int]

    def score(self, items: Sequence[Item], skip: Collection[int] = ()) -> Iterator[tuple[int, float]]:
        """Yield (index of the item, reward) as soon as it is known, in no particular order.

        A reward is the raw logit of the score head at the conversation's last token; in float32 it does not depend
        on batch size or order within 1e-5. `skip` holds indices whose rewards are there already: given the same
        items, a resumed run forms the same batches and so repeats the interrupted one to the bit. Conversations
        longer than `max_length` are cut on their left and counted. Raises `EngineError` naming the item where a
        reward is NaN or infinite.
        """
        ...


class Scorer(Choice):
    """An engine that computes a reward model's rewards (`scorer=`)."""

    GROUP: ClassVar[str] = "scorer"
    PACKAGE: ClassVar[str] = "mt.engines.scoring"

    dtype: Dtype
    """Precision of weights and activations; never guessed from the folder."""
    max_length: Length
    """Longest conversation, in the reward model's tokens; a longer one is cut from the left and counted."""
    strip_bos: bool
    """Leave out the beginning-of-sequence token, for reward models that were trained without it."""

    def check(self) -> None:
        """Raise ConfigError where the engine is not installed; GPUs are counted where it is opened."""

    @abstractmethod
    def open(self, folder: Path, template: TemplateConfig | None = None) -> AbstractContextManager[OpenRewardModel]:
        """Open the reward model in `folder`; memory is given back at the block's end.

        `template` says how conversations are rendered; None takes the folder's own template with its default
        settings. Raises ModelError for a folder that cannot serve, before any weight is loaded.
        """
