"""Trackers of a run: none, W&B or TensorBoard, behind one small protocol."""

from mt.tracking.base import RunInfo, Tracker, Tracking

__all__ = ["RunInfo", "Tracker", "Tracking"]
