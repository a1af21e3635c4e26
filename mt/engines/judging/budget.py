"""What judgments cost: an estimate before the first call, and a limit that is never passed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from mt.engines.judging.openai import OpenAIJudge
from mt.errors import JudgeError, describe
from mt.types import Messages

_BYTES_PER_TOKEN = 3  # of UTF-8; English has about 4, other scripts about 3: rather too many tokens than too few
_TOKENS_PER_MESSAGE = 8  # role and separators


@dataclass(frozen=True, slots=True)
class Estimate:
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


def estimate(config: OpenAIJudge, prompts: Sequence[Messages], max_tokens: int) -> Estimate:
    """Return what asking all prompts once costs at most; malformed answers asked again come on top."""
    into, out = sum(map(input_tokens, prompts)), max_tokens * len(prompts)
    return Estimate(len(prompts), into, out, price(config, into, out))


def input_tokens(prompt: Messages) -> int:
    """Return about how many tokens a prompt has, rather too many."""
    size = sum(len(message["content"].encode("utf-8", "surrogatepass")) for message in prompt)
    return -(-size // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(prompt)


def price(config: OpenAIJudge, input_count: int, output_count: int) -> float | None:
    """Return dollars, or None where prices are unknown."""
    if config.usd_per_million_input is None or config.usd_per_million_output is None:
        return None
    return (input_count * config.usd_per_million_input + output_count * config.usd_per_million_output) / 1e6


class Budget:
    """Money spent and set aside for calls under way; thread-safe."""

    def __init__(self, limit_usd: float | None):
        """Begin with nothing spent."""
        self.limit_usd = limit_usd
        self.spent = 0.0
        self._reserved = 0.0
        self._lock = threading.Lock()

    def reserve(self, usd: float) -> bool:
        """Set the most that a call can cost aside; False where that could pass the limit."""
        with self._lock:
            if self.limit_usd is not None and self.spent + self._reserved + usd > self.limit_usd:
                return False
            self._reserved += usd
            return True

    def settle(self, reserved: float, usd: float) -> None:
        """Replace what was set aside by what was spent."""
        with self._lock:
            self._reserved -= reserved
            self.spent += usd

    def refuse_hopeless(self, least_usd: float) -> None:
        """Raise `JudgeError` before the first call where the prompts alone cost more than the limit."""
        if self.limit_usd is not None and least_usd > self.limit_usd:
            mend = "Raise it, or judge fewer prompts"
            raise JudgeError(
                describe("judge.limit_usd", self.limit_usd, f"the prompts alone cost ${least_usd:.2f}", mend=mend)
            )

    def exhausted(self) -> JudgeError:
        """Return the error that says where it stopped."""
        problem = f"${self.spent:.2f} are spent and the next call could pass the limit; what was answered is kept"
        return JudgeError(describe("judge.limit_usd", self.limit_usd, problem, mend="Raise it and run again to go on"))
