"""Prompts as token ids that leave room for a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mt.engines.generation.base import Generator
from mt.engines.models import check_context
from mt.engines.settings import DecodingConfig
from mt.engines.text import Chat
from mt.errors import ConfigError, describe
from mt.types import Prompt


@dataclass(frozen=True, slots=True)
class Ready:
    """A prompt's token ids and how many tokens its responses may have."""

    prompt: Prompt
    ids: list[int]
    room: int


def fit_prompts(
    prompts: Sequence[Prompt],
    chat: Chat,
    config: Generator,
    decoding: DecodingConfig,
) -> tuple[list[Ready], dict[str, int]]:
    """Return the prompts that can be answered within `max_length`, and how many were dropped or cut.

    A prompt is too long where it leaves fewer than `min_response_tokens` tokens for its response (or fewer than
    `max_new_tokens`, where that is less). It is then dropped, or cut on its left to leave just that much.
    """
    longest = longest_prompt(config.min_response_tokens, decoding)
    ready, counts = [], {"prompts": len(prompts), "prompts_dropped": 0, "prompts_truncated": 0}
    for prompt in prompts:
        ids = chat.prompt_ids(prompt.messages)
        if len(ids) > longest and config.long_prompts == "drop":
            counts["prompts_dropped"] += 1
            continue
        counts["prompts_truncated"] += len(ids) > longest
        ids = ids[-longest:]
        ready.append(Ready(prompt, ids, min(decoding.max_new_tokens, decoding.max_length - len(ids))))
    return ready, counts


def longest_prompt(min_response_tokens: int, decoding: DecodingConfig) -> int:
    """Return the most tokens that a prompt may have."""
    longest = decoding.max_length - min(min_response_tokens, decoding.max_new_tokens)
    if longest < 1:
        problem = f"leaves no prompt within max_length={decoding.max_length}"
        raise ConfigError(
            describe(
                "generator.min_response_tokens", min_response_tokens, problem, allowed=f"1 to {decoding.max_length - 1}"
            )
        )
    return longest


def check_decoding(model: Path, decoding: DecodingConfig) -> None:
    """Refuse sequences longer than the policy's context."""
    check_context(model, decoding.max_length, "sampling.max_length")
