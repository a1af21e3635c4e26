"""A small run as a tracker sees it, shared by the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mt.tracking.base import MetricRow, RunInfo, SampleRow, TrackedStage, Tracker
from mt.tracking.settings import WandbTracking
from mt.types import Metric

CONFIG: dict[str, Any] = {
    "name": "demo",
    "seed": 3,
    "method": {"name": "mutual_taught"},
    "objective": {"name": "dpo", "beta": 0.1},
    "tracking": {"name": "wandb", "mode": "offline"},
}
STAGE = TrackedStage("a" * 64, "train_policy", "iteration 1 · E-step", "iteration-01-e-step/train_policy")
ROWS = [
    MetricRow(0, "policy", Metric("gold", "win_rate", 0.5, n=100)),
    MetricRow(1, "policy", Metric("gold", "win_rate", 0.61, 0.55, 0.67, 100)),
    MetricRow(1, "reward", Metric("gold", "accuracy", 0.82, n=100)),
]
SAMPLES = [
    SampleRow("p1", "chat", "tell color of fox", "red .", 1.5, "chosen"),
    SampleRow("p1", "chat", "tell color of fox", "blue .", -0.5, "rejected"),
]


def settings(**changes: Any) -> WandbTracking:
    values: dict[str, Any] = {
        "name": "wandb", "mode": "offline", "project": "paper", "entity": None, "base_url": None, "tags": ["t1"],
        "sample_prompts": 2, "system_metrics": False, "queue_size": 1000,
        "finish_timeout_s": 20,
    }  # fmt: skip
    return WandbTracking.model_validate(values | changes)


def info(folder: Path, **changes: Any) -> RunInfo:
    return RunInfo("demo", folder, {**CONFIG, **changes}, "sweep-1", "mutual_taught")


def record(folder: Path, state: str = "finished", **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "record.json"
    path.write_text(json.dumps({"schema": 1, "name": "demo", "state": state, **changes}))
    return path


def tell(tracker: Tracker, folder: Path, steps: range = range(5), state: str = "finished") -> None:
    """Send everything that a run sends."""
    tracker.stages([STAGE])
    for step in steps:
        tracker.curve(STAGE, step, {"loss": 1 / (step + 1), "learning_rate": 1e-4})
    tracker.stage(STAGE, "computed", 1.5, tracker.link)
    tracker.log(ROWS)
    tracker.samples(1, SAMPLES)
    tracker.summary(ROWS)
    tracker.finish(state, record(folder, state))
