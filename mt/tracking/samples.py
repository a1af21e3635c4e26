"""Sampled responses as rows to look at: every response beside its reward and what was made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from mt.tracking.base import TableValue
from mt.types import Messages, Pair, Rewards, Samples

COLUMNS = ("prompt_id", "section", "prompt", "response", "reward", "role")
"""A response beside its reward; its role is chosen, rejected, or empty."""


def sample_rows(
    samples: Sequence[Samples], rewards: Sequence[Rewards], pairs: Sequence[Pair], prompts: int
) -> list[list[TableValue]]:
    """Return one row per response of the first `prompts` prompts that gave a pair, then of the others."""
    rewards_of = {row.prompt_id: row.rewards for row in rewards}
    pair_of = {pair.prompt_id: pair for pair in pairs}
    ordered = sorted(samples, key=lambda row: row.prompt_id not in pair_of)
    found = islice(ordered, prompts)
    return [row for one in found for row in _rows(one, rewards_of.get(one.prompt_id), pair_of.get(one.prompt_id))]


def _rows(samples: Samples, rewards: list[float] | None, pair: Pair | None) -> Iterator[list[TableValue]]:
    prompt = _text(samples.messages)
    for index, response in enumerate(samples.responses):
        reward = rewards[index] if rewards else None
        role = _role(response.text, pair)
        yield [samples.prompt_id, samples.section or "", prompt, response.text, reward, role]


def _role(text: str, pair: Pair | None) -> str:
    if pair is None:
        return ""
    return {pair.rejected.text: "rejected", pair.chosen.text: "chosen"}.get(text, "")


def _text(messages: Messages) -> str:
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)
