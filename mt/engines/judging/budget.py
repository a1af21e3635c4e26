"""What judgments cost at most, by an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mt.engines.judging.openai import OpenAIJudge
from mt.types import Messages

_BYTES_PER_TOKEN = 3  # of UTF-8; English has about 4, other scripts about 3: rather too many tokens than too few
_TOKENS_PER_MESSAGE = 8  # role and separators


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """At most so many tokens, and dollars where prices are known."""

    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None

    def __str__(self) -> str:
        """Say it in one line."""
        cost = "prices unknown" if self.usd is None else f"at most about ${self.usd:.2f}"
        tokens = f"about {self.input_tokens:,} input and at most {self.output_tokens:,} output tokens"
        return f"{self.calls} judgments to ask for: {tokens}, {cost}"


def estimate(config: OpenAIJudge, prompts: Sequence[Messages], max_tokens: int) -> CallEstimate:
    """Return what asking all prompts once costs at most; malformed answers asked again come on top."""
    into, out = sum(map(input_tokens, prompts)), max_tokens * len(prompts)
    priced = None not in (config.usd_per_million_input, config.usd_per_million_output)
    return CallEstimate(len(prompts), into, out, config.usd(into, out) if priced else None)


def input_tokens(prompt: Messages) -> int:
    """Return about how many tokens a prompt has, rather too many."""
    size = sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in prompt)
    return -(-size // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(prompt)
