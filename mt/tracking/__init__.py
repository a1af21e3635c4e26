"""Trackers of a run: none, or W&B, behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mt.tracking.base import NoTracker, RunInfo, Tracker
from mt.tracking.settings import TrackingConfig, WandbTracking
from mt.tracking.wandb_run import WandbTracker


def open_tracker(config: TrackingConfig, say: Callable[[str], None]) -> Tracker:
    """Return the tracker that the settings name; `say` shows a line to the user (it may come from a thread)."""
    if isinstance(config, WandbTracking) and config.mode != "disabled":
        return WandbTracker(config, say)
    return NoTracker()


@contextmanager
def tracking(config: TrackingConfig, run: RunInfo, say: Callable[[str], None]) -> Iterator[Tracker]:
    """Track a run from start to end; a block that ends without `finish` ends as failed."""
    tracker = open_tracker(config, say)
    tracker.start(run)
    try:
        yield tracker
    finally:
        tracker.finish("failed", None)
