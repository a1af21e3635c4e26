"""Demonstrations as a source of prompts and of pairs (SPIN)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from mt.stages.select import publish
from mt.types import Demonstration, Pair, Prompt, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class DemonstrationPrompts(Stage):
    """The prompts of the first demonstrations."""

    VERSION: ClassVar[int] = 1
    demonstrations: Stage
    size: int | None

    def run(self, work: Work) -> None:
        """Take at most `size` prompts; None takes all."""
        rows = work.rows(Demonstration, self.demonstrations)[: self.size]
        work.count(prompts=len(rows))
        work.write([Prompt(row.prompt_id, row.messages, row.section) for row in rows], Prompt)


@dataclass(frozen=True, eq=False)
class SpinPairs(Stage):
    """Each prompt's demonstration over the policy's own response (Chen et al. 2024, Algorithm 1)."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    demonstrations: Stage
    seed: int

    def run(self, work: Work) -> None:
        """Pair them; identical texts give no pair."""
        from mt.selection import against_demonstrations

        samples = work.rows(Samples, self.samples)
        wanted = {row.prompt_id for row in samples}
        shown = [row for row in work.rows(Demonstration, self.demonstrations) if row.prompt_id in wanted]
        publish(work, against_demonstrations(samples, shown, seed=self.seed), Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one pair for each prompt."""
        return replace(super().volume(inputs, assumed), responses=2)
