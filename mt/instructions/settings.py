"""Settings of verifiable English: its prompts, and what answers are worth."""

from __future__ import annotations

from typing import Literal

from mt.choice import Config, Count, Probability
from mt.gold import Gold, GoldLanguage


class InstructionLanguage(GoldLanguage):
    """What the prompts of verifiable English ask for, and what an answer is worth."""

    checks: Literal[1]
    """Which version of the questions, the demands and their checks; raised where one of them changes."""
    three_demands: Probability
    """Share of the prompts that make three demands instead of two."""
    flawed: Probability
    """What is left of the gold reward of an answer that is cut off, repeats itself, is off the topic or has fewer than
    three words."""

    def gold(self, seed: int) -> Gold:
        """Return the gold judge, which is the same for every seed."""
        from mt.instructions.gold import gold

        return lambda messages, response: gold(messages, response, self.flawed)


class InstructionSizes(Config):
    """How many prompts of each kind verifiable English gives."""

    prompts: Count
    """Training prompts, before they are partitioned."""
    preferences: Count
    """Prompts whose responses people compare, from which the base reward model learns."""
    benchmark: Count
    """Prompts of the RewardBench-like test, spread over all kinds of demands that train nothing."""
