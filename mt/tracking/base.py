"""What a tracker receives: a small protocol, its carriers, and the tracker that does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mt.types import Metric


@dataclass(frozen=True)
class RunInfo:
    """A run as it introduces itself."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    sweep: str | None = None
    job_type: str = "run"


@dataclass(frozen=True)
class RunLink:
    """Where a tracked run is found: two runs of one place can point at each other."""

    place: str
    run_id: str
    name: str


@dataclass(frozen=True)
class TrackedStage:
    """A stage as a tracker shows it; `slug` names it within its run, such as "iteration-01-e-step/train_policy"."""

    key: str
    name: str
    label: str
    slug: str


@dataclass(frozen=True)
class SampleRow:
    """A sampled response beside its reward and what became of it."""

    prompt_id: str
    section: str
    prompt: str
    response: str
    reward: float | None
    role: str
    """chosen, rejected, or empty."""


@dataclass(frozen=True)
class MetricRow:
    """A row of the run's record: a metric of the policy or of the reward model after an iteration."""

    iteration: int
    model: str
    metric: Metric


class Tracker(Protocol):
    """Receives what a run reports; it never raises, never blocks, and never decides how a run ends."""

    @property
    def link(self) -> RunLink | None:
        """Where this run is found, or None where it is tracked nowhere."""
        ...

    def start(self, run: RunInfo) -> None:
        """Introduce the run; one that was tracked before is continued."""
        ...

    def log(self, rows: Sequence[MetricRow]) -> None:
        """Report metrics of an iteration."""
        ...

    def curve(self, stage: TrackedStage, step: int, metrics: Mapping[str, float]) -> None:
        """Report one step of a training."""
        ...

    def stages(self, stages: Sequence[TrackedStage]) -> None:
        """Name the stages of the run's plan."""
        ...

    def stage(self, stage: TrackedStage, state: str, seconds: float | None, logged_by: RunLink | None) -> None:
        """Say what became of a stage (computed, reused, failed) and which run shows its curves."""
        ...

    def samples(self, iteration: int, rows: Sequence[SampleRow]) -> None:
        """Show sampled responses of an iteration."""
        ...

    def summary(self, rows: Sequence[MetricRow]) -> None:
        """Show the run's final table."""
        ...

    def finish(self, state: str, record: Path | None) -> None:
        """End with the run's state; `record` is the run's record.json, kept beside the metrics."""
        ...


class NoTracker:
    """Tells nobody."""

    link: RunLink | None = None

    def start(self, run: RunInfo) -> None:
        """Ignore."""

    def log(self, rows: Sequence[MetricRow]) -> None:
        """Ignore."""

    def curve(self, stage: TrackedStage, step: int, metrics: Mapping[str, float]) -> None:
        """Ignore."""

    def stages(self, stages: Sequence[TrackedStage]) -> None:
        """Ignore."""

    def stage(self, stage: TrackedStage, state: str, seconds: float | None, logged_by: RunLink | None) -> None:
        """Ignore."""

    def samples(self, iteration: int, rows: Sequence[SampleRow]) -> None:
        """Ignore."""

    def summary(self, rows: Sequence[MetricRow]) -> None:
        """Ignore."""

    def finish(self, state: str, record: Path | None) -> None:
        """Ignore."""
