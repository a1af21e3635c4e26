"""Prompts: taken from their source, and partitioned into D_1 … D_T and D_R."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

from mt.errors import DataError, describe
from mt.types import Prompt, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@runtime_checkable
class Counted(Protocol):
    """Prompts whose number is known before any stage has run."""

    def count(self) -> int:
        """Return the number of prompts."""
        ...

    def origin(self) -> str:
        """Return where they come from, and what is not counted."""
        ...


@dataclass(frozen=True, eq=False)
class PartitionPrompts(Stage):
    """One of `parts` disjoint parts of the prompts, equal in size to within one prompt (Algorithm 1, line 2)."""

    VERSION: ClassVar[int] = 1
    prompts: Stage
    parts: int
    index: int
    """From 0."""
    seed: int

    def check(self) -> None:
        """Refuse fewer prompts than parts where the prompts can be counted already."""
        if isinstance(self.prompts, Counted):
            self._refuse_too_few(self.prompts.count())

    def run(self, work: Work) -> None:
        """Shuffle by the seed and take every `parts`-th prompt, so that no tail is dropped."""
        prompts = work.rows(Prompt, self.prompts)
        self._refuse_too_few(len(prompts))
        _write_part(work, prompts, self.seed, slice(self.index, None, self.parts))

    def _refuse_too_few(self, count: int) -> None:
        if count < self.parts:
            origin = f" ({self.prompts.origin()})" if isinstance(self.prompts, Counted) else ""
            problem = f"fewer than the {self.parts} parts that the method needs{origin}"
            raise DataError(describe("prompts", count, problem, fix="Give more prompts or fewer iterations"))

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one part."""
        prompts = inputs[self.prompts.key]
        return replace(prompts, rows=prompts.rows / self.parts)


@dataclass(frozen=True, eq=False)
class PromptBlock(Stage):
    """A part of `size` prompts, the same however many parts there are."""

    VERSION: ClassVar[int] = 1
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"parts", "iterations"})
    prompts: Stage
    size: int
    index: int
    """From 0, in the order of the shuffle."""
    seed: int
    parts: int
    """Parts that the method needs."""
    iterations: int
    """Iterations that need them."""

    def check(self) -> None:
        """Refuse fewer prompts than all parts need where the prompts can be counted already."""
        if isinstance(self.prompts, Counted):
            self._refuse_too_few(self.prompts.count())

    def run(self, work: Work) -> None:
        """Shuffle by the seed and take the block."""
        prompts = work.rows(Prompt, self.prompts)
        self._refuse_too_few(len(prompts))
        _write_part(work, prompts, self.seed, slice(self.index * self.size, (self.index + 1) * self.size))

    def _refuse_too_few(self, count: int) -> None:
        fitting = count // self.size
        if fitting < self.parts:
            largest, most = count // self.parts, self.iterations - (self.parts - fitting)
            problem = f"{self.parts} parts of so many prompts are needed, and there are {count} prompts"
            allowed = f"at most {largest} with iterations={self.iterations}" if largest else ""
            ways = [f"lower it to {largest}"] * (largest > 0) + [f"set iterations={most}"] * (most > 0)
            fix = ", or ".join(ways) or "give more prompts"
            raise DataError(
                describe("partition.part_size", self.size, problem, allowed=allowed, fix=fix[0].upper() + fix[1:])
            )

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one block."""
        return replace(inputs[self.prompts.key], rows=self.size)


@dataclass(frozen=True, eq=False)
class FirstPrompts(Stage):
    """The first of some prompts, which are in an order that nothing depends on."""

    VERSION: ClassVar[int] = 1
    prompts: Stage
    size: int
    """At most so many."""

    def run(self, work: Work) -> None:
        """Leave out the others."""
        kept = work.rows(Prompt, self.prompts)[: self.size]
        work.count(prompts=len(kept))
        work.write(kept, Prompt)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return so many of the prompts."""
        return inputs[self.prompts.key].at_most(self.size)


@dataclass(frozen=True, eq=False)
class RandomPrompts(Stage):
    """Some of the prompts, drawn at random and in their order."""

    VERSION: ClassVar[int] = 1
    prompts: Stage
    size: int
    """At most so many."""
    seed: int

    def run(self, work: Work) -> None:
        """Draw them by the seed."""
        _write_part(work, work.rows(Prompt, self.prompts), self.seed, slice(self.size))

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the drawn ones."""
        return inputs[self.prompts.key].at_most(self.size)


@dataclass(frozen=True, eq=False)
class ExtractPrompts(Stage):
    """The prompts that some samples answer."""

    VERSION: ClassVar[int] = 1
    samples: Stage

    def run(self, work: Work) -> None:
        """Leave out the answers."""
        rows = work.rows(Samples, self.samples)
        work.write([Prompt(row.prompt_id, row.messages, row.section) for row in rows], Prompt)


def _write_part(work: Work, prompts: list[Prompt], seed: int, part: slice) -> None:
    """Shuffle prompts by a seed, and write one part of the shuffle in the prompts' own order."""
    import numpy as np

    chosen = sorted(map(int, np.random.default_rng(seed).permutation(len(prompts))[part]))
    work.count(prompts=len(chosen))
    work.write([prompts[i] for i in chosen], Prompt)
