"""What every selection shares: checked candidates, a seeded source of chance for each prompt, rows with counts."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from mt.choice import Choice
from mt.errors import DataError, describe
from mt.types import Messages, Response, Rewards, Samples

Row = TypeVar("Row")


class Selection(Choice):
    """How the rows that a policy learns from are selected (`selection=`)."""

    GROUP: ClassVar[str] = "selection"
    PACKAGE: ClassVar[str] = "mt.selection"

    makes: ClassVar[Literal["pairs", "demonstrations"]]
    """What it selects, which is what the objective has to learn from."""

    def most_rows(self, samples: int) -> int:
        """Return the most rows that a prompt with so many responses gives."""
        return samples


@dataclass(frozen=True, slots=True)
class Selected(Generic[Row]):
    """The rows that were selected, and how many were seen, kept and dropped, and why."""

    rows: list[Row]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The distinct responses of one prompt with their rewards, in the order they were sampled."""

    prompt_id: str
    messages: Messages
    section: str | None
    responses: list[Response]
    rewards: list[float]
    all_rewards: list[float]
    """Rewards of all K responses, duplicates included: the policy's own distribution."""

    @property
    def duplicates(self) -> int:
        """Responses that repeat an earlier one word for word."""
        return len(self.all_rewards) - len(self.responses)


def candidates(samples: Sequence[Samples], rewards: Sequence[Rewards]) -> Iterator[Candidates]:
    """Yield each prompt's candidates; DataError for misaligned tables and rewards that are not finite."""
    if len(samples) != len(rewards):
        problem = f"there are {len(samples)} prompts with samples"
        raise DataError(describe("rewards", f"{len(rewards)} prompts", problem, allowed="one row of rewards each"))
    for row, scored in zip(samples, rewards, strict=True):
        check_aligned(row, scored)
        kept = distinct(row.responses)
        responses = [row.responses[index] for index in kept]
        kept_rewards = [scored.rewards[index] for index in kept]
        yield Candidates(row.prompt_id, row.messages, row.section, responses, kept_rewards, scored.rewards)


def distinct(responses: Sequence[Response]) -> list[int]:
    """Return the indices of the responses that repeat no earlier one word for word (§5.1)."""
    first: dict[str, int] = {}
    for index, response in enumerate(responses):
        first.setdefault(response.text, index)
    return list(first.values())


def chance(seed: int, prompt_id: str) -> random.Random:
    """Return a generator that depends on seed and prompt only, so that no prompt's choice depends on others."""
    return random.Random(f"{seed}:{prompt_id}")


def counted(prompts: int, kept: int, dropped: Counter[str], reasons: Iterable[str]) -> dict[str, int]:
    """Return the counts of a selection: prompts, kept rows, and every reason of dropping, zero or not."""
    return {"prompts": prompts, "kept": kept} | {f"dropped_{reason}": dropped[reason] for reason in reasons}


def check_aligned(row: Samples, scored: Rewards) -> None:
    """Raise DataError unless the rewards are finite, one for each response of the same prompt."""
    where = f"rewards of prompt {row.prompt_id}"
    if row.prompt_id != scored.prompt_id:
        raise DataError(describe(where, scored.prompt_id, "they belong to another prompt", allowed="the same order"))
    if len(row.responses) != len(scored.rewards):
        problem = f"the prompt has {len(row.responses)} responses"
        raise DataError(describe(where, f"{len(scored.rewards)} numbers", problem, allowed="one reward each"))
    for reward in scored.rewards:
        if not math.isfinite(reward):
            raise DataError(describe(where, reward, "not a finite number", fix="Check the reward model and its dtype"))
