"""Verifiable English as stages: its prompts, and pairs for reward models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from mt.instructions.settings import InstructionLanguage
from mt.types import Messages, Prompt, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class InstructionPrompts(Stage):
    """Prompts of one split: no other split has their questions, and those of evaluation have topics of their own."""

    VERSION: ClassVar[int] = 1
    seed: int
    language: InstructionLanguage
    split: str
    size: int

    def count(self) -> int:
        """Return the number of prompts."""
        return self.size

    def origin(self) -> str:
        """Return the data's name."""
        return "data=instructions"

    def check(self) -> None:
        """Refuse more prompts than there are."""
        self._prompts(1)

    def asked(self) -> Iterator[tuple[str, Messages]]:
        """Yield one prompt: all are a single turn of the user's, in plain English."""
        yield "data=instructions", self._prompts(1)[0].messages

    def run(self, work: Work) -> None:
        """Draw the prompts."""
        work.write(self._prompts(self.size), Prompt)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return its rows."""
        return assumed.rows(self.size)

    def _prompts(self, drawn: int) -> list[Prompt]:
        from mt.instructions.prompts import prompts, refuse_too_many

        refuse_too_many(self.split, self.size)
        return prompts(self.seed, self.split, drawn, self.language.three_demands)


@dataclass(frozen=True, eq=False)
class BestOverWorst(Stage):
    """RewardBench's counterpart: of each prompt's responses the best by gold over the worst, the best one first."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    seed: int
    language: InstructionLanguage

    def run(self, work: Work) -> None:
        """Leave out the prompts whose responses gold does not tell apart."""
        gold, rows, kept = self.language.gold(self.seed), work.rows(Samples, self.samples), []
        for row in rows:
            rewards = [gold(row.messages, response) for response in row.responses]
            best, worst = rewards.index(max(rewards)), rewards.index(min(rewards))
            if self.language.prefers(rewards[best], rewards[worst]):
                pair = [row.responses[best], row.responses[worst]]
                kept.append(Samples(row.prompt_id, row.messages, row.section, pair))
        work.count(pairs=len(kept), dropped_equal=len(rows) - len(kept))
        work.write(kept, Samples)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return two responses to each prompt."""
        return replace(inputs[self.samples.key], responses=2)
