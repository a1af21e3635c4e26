"""Selection: preference pairs from scored responses, and from the policy before and after an update."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mt.errors import DataError, describe
from mt.selection import DemonstrationSelection, PairSelection, Selected, contrast, mix
from mt.selection.label_filters import LabelFilter
from mt.types import Demonstration, Pair, Rewards, Samples
from mt.workflow.stage import Stage
from mt.workflow.volume import AssumptionsConfig, Volume, Volumes
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class SelectPairs(Stage):
    """Preference pairs of each prompt's scored responses (Appendix A, length control)."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage
    selection: PairSelection
    source: str
    """What the pairs are for: "policy" (E-step) or "self_training" (D(PM))."""
    seed: int

    def run(self, work: Work) -> None:
        """Select the pairs; raises DataError when no prompt gives one."""
        samples, rewards = work.rows(Samples, self.samples), work.rows(Rewards, self.rewards)
        publish(work, self.selection.select(samples, rewards, seed=self.seed, source=self.source), Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one pair for each prompt."""
        return replace(super().volume(inputs, assumed), responses=2)


@dataclass(frozen=True, eq=False)
class SelectDemonstrations(Stage):
    """Responses to imitate, for the objectives that learn from demonstrations (best of K, ReST-EM)."""

    VERSION: ClassVar[int] = 1
    samples: Stage
    rewards: Stage
    selection: DemonstrationSelection

    def run(self, work: Work) -> None:
        """Select the demonstrations; raises DataError when no prompt gives one."""
        samples, rewards = work.rows(Samples, self.samples), work.rows(Rewards, self.rewards)
        publish(work, self.selection.select(samples, rewards), Demonstration)


@dataclass(frozen=True, eq=False)
class ContrastPairs(Stage):
    """D(PM_new, PM_old): a response of the updated policy over one of the policy before (Eq. 5)."""

    VERSION: ClassVar[int] = 1
    new: Stage
    old: Stage
    seed: int
    label_filter: LabelFilter | None = None
    """How rewards filter or weight the pairs; None keeps them all."""
    new_rewards: Stage | None = None
    """A reward model's rewards of the samples, which the label filter reads."""
    old_rewards: Stage | None = None

    def run(self, work: Work) -> None:
        """Pair the responses; identical texts give no pair."""
        rewards = [work.rows(Rewards, stage) if stage else None for stage in (self.new_rewards, self.old_rewards)]
        new, old = work.rows(Samples, self.new), work.rows(Samples, self.old)
        selected = contrast(new, old, seed=self.seed, new_rewards=rewards[0], old_rewards=rewards[1])
        if self.label_filter is None:
            publish(work, selected, Pair)
            return
        filtered = self.label_filter.apply(selected.rows, rewards[1] or [])
        work.count(**filtered.counts | selected.counts | {"kept": len(filtered.rows)})
        if not filtered.rows:  # not an error: the reward model then learns from self-training pairs only
            work.note("no contrast pair passed the label filter")
        work.write(filtered.rows, Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return one pair for each prompt."""
        return replace(super().volume(inputs, assumed), responses=2)


@dataclass(frozen=True, eq=False)
class ConcatenateRows(Stage):
    """Several tables of pairs, or of demonstrations, as one."""

    VERSION: ClassVar[int] = 1
    tables: tuple[Stage, ...]
    rows: Literal["pairs", "demonstrations"]

    def run(self, work: Work) -> None:
        """Put the tables one after another."""
        row_type: type[Any] = Pair if self.rows == "pairs" else Demonstration
        found = [row for table in self.tables for row in work.rows(row_type, table)]
        work.count(**{self.rows: len(found)})
        work.write(found, row_type)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the rows of all tables."""
        tables = [inputs[table.key] for table in self.tables]
        return replace(tables[0], rows=sum(table.rows for table in tables))


@dataclass(frozen=True, eq=False)
class MixPairs(Stage):
    """Pairs, and as many of others as make up a share of the result."""

    VERSION: ClassVar[int] = 1
    pairs: Stage
    extra: Stage
    share: float
    seed: int

    def run(self, work: Work) -> None:
        """Draw from the extra pairs at random."""
        pairs, extra = work.rows(Pair, self.pairs), work.rows(Pair, self.extra)
        publish(work, mix(pairs, extra, share=self.share, seed=self.seed), Pair)

    def volume(self, inputs: Volumes, assumed: AssumptionsConfig) -> Volume:
        """Return the pairs, and the others that make up the share."""
        pairs = inputs[self.pairs.key]
        return replace(pairs, rows=pairs.rows / (1 - self.share), responses=2)


def publish(work: Work, selected: Selected[Any], row_type: type[Any]) -> None:
    """Write the rows and their counts; raises DataError for none, which would only fail later and less clearly."""
    work.count(**selected.counts)
    if not selected.rows:
        why = ", ".join(f"{name} {number}" for name, number in selected.counts.items())
        fix = "Raise sampling.samples or sampling.temperature, give more prompts, or ask less of a pair (selection)"
        raise DataError(
            describe(
                "pairs",
                0,
                f"no prompt gave any ({why})",
                allowed="two distinct responses with different rewards",
                fix=fix,
            )
        )
    work.write(selected.rows, row_type)
