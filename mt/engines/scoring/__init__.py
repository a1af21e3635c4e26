"""Scoring: a reward model's rewards of conversations, and a policy's log-probabilities of responses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mt.config.engines import ScorerConfig, TransformersScorer
from mt.config.template import TemplateConfig
from mt.types import Messages

Item = tuple[Messages, str, bool]
"""A conversation to score: the prompt's messages, the answer's text, and whether the answer ended by itself.

The template closes every answer's turn, as it does in reward-model training, whether it ended by itself or not.
"""


class Scorer(Protocol):
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


def open_scorer(
    config: ScorerConfig, model: Path, template: TemplateConfig | None = None
) -> AbstractContextManager[Scorer]:
    """Open the reward model in folder `model` with the engine `config.name`; memory is given back at the end.

    `template` says how conversations are rendered; None takes the folder's own template with its default settings.
    Raises `ModelError` for a folder that cannot serve, before any weight is loaded.
    """
    if isinstance(config, TransformersScorer):
        from mt.engines.scoring.transformers import open_transformers

        return open_transformers(config, Path(model), template)
    from mt.engines.scoring.vllm import open_vllm

    return open_vllm(config, Path(model), template)
