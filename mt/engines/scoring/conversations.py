"""Conversations as a reward model reads them, and the check of what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mt.engines.scoring.base import Scorer
from mt.engines.text import Chat
from mt.errors import EngineError, describe

if TYPE_CHECKING:
    from mt.engines.scoring import Item


def fit_items(
    items: Sequence[Item],
    chat: Chat,
    config: Scorer,
    counts: dict[str, int],
) -> list[list[int]]:
    """Return each conversation's token ids, cut on the left to `max_length`; adds to `counts`."""
    rows = []
    for messages, text, _finished in items:
        ids = chat.conversation_ids(messages, text, strip_bos=config.strip_bos)
        rows.append(ids[-config.max_length :])
        counts["conversations"] += 1
        counts["tokens"] += len(rows[-1])
        counts["truncated"] += len(ids) > config.max_length
    return rows


def finite(index: int, value: float, what: str = "reward") -> float:
    """Return the value; raise `EngineError` naming the item where it is NaN or infinite."""
    if not math.isfinite(value):
        mend = "Check the model's weights, or use dtype=float32"
        raise EngineError(describe(what, value, f"item {index} has no finite {what}", mend=mend))
    return value
