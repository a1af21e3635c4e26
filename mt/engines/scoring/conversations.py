"""Conversations as a reward model reads them, and the check of what it answers."""

from __future__ import annotations

import math

from mt.engines.scoring.base import Scorer
from mt.engines.text import Chat
from mt.errors import EngineError, describe
from mt.types import Messages


def fit_item(messages: Messages, text: str, chat: Chat, config: Scorer) -> tuple[list[int], bool]:
    """Return a conversation's token ids, cut on the left to `max_length`, and whether they were cut."""
    ids = chat.conversation_ids(messages, text, strip_bos=config.strip_bos)
    return ids[-config.max_length :], len(ids) > config.max_length


def count(counts: dict[str, int], tokens: int, cut: bool) -> None:
    """Add a conversation to what was read."""
    for name, number in (("conversations", 1), ("tokens", tokens), ("truncated", int(cut))):
        counts[name] += number


def finite(index: int, value: float, what: str = "reward") -> float:
    """Return the value; raise `EngineError` naming the item where it is NaN or infinite."""
    if not math.isfinite(value):
        fix = "Check the model's weights, or use dtype=float32"
        raise EngineError(describe(what, value, f"item {index} has no finite {what}", fix=fix))
    return value
