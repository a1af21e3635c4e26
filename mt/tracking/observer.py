"""An execution's observer that tells a tracker: curves while they grow, and what became of every stage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mt.tracking.base import RunLink, TrackedStage, Tracker
from mt.tracking.claims import Claims
from mt.tracking.naming import tracked_stages
from mt.workflow.plan import Plan
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store
from mt.workflow.work import CURVES, Silent


class TrackingObserver(Silent):
    """Tells a tracker; a stage that runs share is shown by one of them, and the others point to it.

    The run that computes a stage shows its curves live. A stage that was computed where nobody tracked it is shown,
    from its artifact, by the first run that reuses it.
    """

    def __init__(self, tracker: Tracker, store: Store, plan: Plan) -> None:
        self.tracker, self.store, self.plan = tracker, store, plan
        self.claims = Claims(store.root, tracker.link) if tracker.link else None
        computed = [stage for stage in plan.order if not isinstance(stage, External)]
        tracked = tracked_stages((stage.key, stage.name, plan.label(stage)) for stage in computed)
        self._stages = {stage.key: stage for stage in tracked}
        tracker.stages(tracked)

    def curve(self, stage: Stage, step: int, metrics: dict[str, float]) -> None:
        """Show a step of a training."""
        self.tracker.curve(self._stages[stage.key], step, metrics)

    def finished(self, stage: Stage, facts: dict[str, Any] | None) -> None:
        """Say what became of a stage, and who shows its curves."""
        if isinstance(stage, External):
            return
        tracked, path = self._stages[stage.key], self.store.path(stage) / CURVES
        shown = self._shown_by(tracked, path, reused=facts is None)
        state = "reused" if facts is None else "computed"
        self.tracker.stage(tracked, state, facts["seconds"] if facts else None, shown)

    def failed(self, stage: Stage, error: BaseException) -> None:
        """Say that a stage failed."""
        self.tracker.stage(self._stages[stage.key], "failed", None, None)

    def _shown_by(self, stage: TrackedStage, curves: Path, *, reused: bool) -> RunLink | None:
        if self.claims is None or not curves.is_file():
            return None
        if not reused:
            self.claims.take(stage.key)
            return self.claims.link
        known = self.claims.owner(stage.key)
        owner = known or self.claims.take_if_free(stage.key)
        if known is None and owner == self.claims.link:
            for step, metrics in _points(curves):
                self.tracker.curve(stage, step, metrics)
        return owner


def _points(curves: Path) -> Iterator[tuple[int, dict[str, float]]]:
    for line in curves.read_text().splitlines():
        point = json.loads(line)
        yield int(point.pop("step")), point
