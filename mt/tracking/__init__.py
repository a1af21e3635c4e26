"""Trackers of a run: none, W&B or TensorBoard, behind one small protocol."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from mt.errors import MissingPackageError, describe
from mt.tracking.base import RunInfo
from mt.tracking.guard import Guarded
from mt.tracking.settings import DisabledTracking, TensorBoardTracking, TrackingConfig
from mt.tracking.tensorboard import TensorBoardTracker
from mt.tracking.wandb import WandbTracker


def open_tracker(config: TrackingConfig, run: RunInfo, say: Callable[[str], None]) -> Guarded | None:
    """Return the tracker that the settings name, the run introduced to it; `say` shows a line, from any thread."""
    if isinstance(config, DisabledTracking):
        return None
    if isinstance(config, TensorBoardTracking):
        guarded = Guarded(config.timeout_s, say)
        guarded.start(TensorBoardTracker(), run)
    elif config.mode == "disabled":
        return None
    else:
        guarded = Guarded(config.timeout_s, say, f"; to upload it later: python -m analysis.sync {run.folder}")
        guarded.start(WandbTracker(config, say, guarded.trouble), run)
    return guarded


def check_installed(config: TrackingConfig) -> None:
    """Raise MissingPackageError where the tracker's package is not installed."""
    if isinstance(config, TensorBoardTracking) and importlib.util.find_spec("tensorboard") is None:
        mend = "Install the extra: pip install 'mutual-taught[tensorboard]', or use tracking=wandb"
        raise MissingPackageError(describe("tracking", "tensorboard", "TensorBoard is not installed", mend=mend))
