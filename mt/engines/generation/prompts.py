"""Prompts as token ids that leave room for a response."""

from __future__ import annotations

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


def fit_prompt(prompt: Prompt, chat: Chat, config: Generator, decoding: DecodingConfig) -> tuple[Ready | None, bool]:
    """Return a prompt that can be answered within `max_length`, None where it is dropped, and whether it is too long.

    A prompt is too long where it leaves fewer than `min_response_tokens` tokens for its response (or fewer than
    `max_new_tokens`, where that is less). It is then dropped, or cut on its left to leave just that much.
    """
    ids, longest = chat.prompt_ids(prompt.messages), longest_prompt(config.min_response_tokens, decoding)
    too_long = len(ids) > longest
    if too_long and config.long_prompts == "drop":
        return None, True
    ids = ids[-longest:]
    return Ready(prompt, ids, min(decoding.max_new_tokens, decoding.max_length - len(ids))), too_long


def long_prompts(config: Generator, prompts: int, too_long: int) -> dict[str, int]:
    """Return the counts of so many prompts, of which some are too long."""
    dropped = too_long if config.long_prompts == "drop" else 0
    return {"prompts": prompts, "prompts_dropped": dropped, "prompts_truncated": too_long - dropped}


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


def check_decoding(model: Path, config: Generator, decoding: DecodingConfig) -> None:
    """Refuse sequences longer than the policy's context, and lengths that leave no prompt."""
    check_context(model, decoding.max_length, "sampling.max_length")
    longest_prompt(config.min_response_tokens, decoding)
