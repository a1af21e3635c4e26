"""The gold judge: the share of a prompt's demands that a response meets, worth less where the response is flawed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mt.errors import DataError, describe
from mt.instructions.demands import Demand
from mt.instructions.kinds import KINDS
from mt.instructions.text import Text
from mt.instructions.topics import TOPIC_OF, TOPICS
from mt.types import Messages, Response

SHORTEST = 3
"""Words that an answer has at least."""


@dataclass(frozen=True)
class PromptDemands:
    """What a prompt asks for."""

    topic: str
    demands: tuple[Demand, ...]


@lru_cache(maxsize=100_000)
def read_prompt(prompt: str) -> PromptDemands:
    """Return what a prompt asks for; DataError where it is none of these instructions."""
    beginnings = (prompt[: end + 1] for end, character in enumerate(prompt) if character in ".?")
    topic = next((TOPIC_OF[text] for text in beginnings if text in TOPIC_OF), None)
    found = [(kind, kind.pattern.search(prompt)) for kind in KINDS]
    demands = tuple(Demand(kind, match.groupdict()) for kind, match in found if match is not None)
    if topic is None or not demands:
        fix = "Gold rewards need data=instructions"
        raise DataError(describe("prompt", repr(prompt), "it is none of these instructions", fix=fix))
    return PromptDemands(topic, demands)


def gold(messages: Messages, response: Response, flawed: float) -> float:
    """Return the gold reward in [0, 1]: the share of demands met, times `flawed` for an answer with a flaw.

    Nothing is worth 0. A flaw is being cut off, off the topic, shorter than three words, or going round in circles.
    """
    asked, text = read_prompt(messages[-1]["content"]), Text(response.text.strip())
    if not text.words:
        return 0.0
    share = sum(demand.met(text) for demand in asked.demands) / len(asked.demands)
    return share * (flawed if has_flaw(text, asked.topic, response.finished) else 1.0)


def has_flaw(text: Text, topic: str, finished: bool) -> bool:
    """Say whether an answer is degenerate, whatever it was asked for."""
    return not finished or len(text.words) < SHORTEST or text.repeats() or not text.is_about(TOPICS[topic])
