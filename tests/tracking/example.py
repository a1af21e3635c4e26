"""A small run as a tracker sees it, shared by the tests."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mt.tracking.base import RunInfo, TableValue
from mt.tracking.guard import Guarded
from mt.tracking.naming import curve_axis, curve_values, metric_values
from mt.tracking.upload import environment
from mt.tracking.wandb import WandbTracking
from mt.types import Metric

CONFIG: dict[str, Any] = {
    "name": "demo",
    "seed": 3,
    "method": {"name": "mutual_taught"},
    "objective": {"name": "dpo", "beta": 0.1},
    "tracking": {"name": "wandb", "mode": "offline"},
}
STAGE = "iteration-01-e-step/train_policy"
AXIS = f"train/{STAGE}/step"
KEY = "a" * 64
METRICS = [
    ("policy", 0, Metric("gold", "win_rate", 0.5, n=100)),
    ("policy", 1, Metric("gold", "win_rate", 0.61, 0.55, 0.67, 100)),
    ("reward", 1, Metric("gold", "accuracy", 0.82, n=100)),
]
METRIC_COLUMNS = ["iteration", "model", "benchmark", "metric", "value", "low", "high", "n"]
SAMPLES: list[list[TableValue]] = [
    ["p1", "chat", "tell color of fox", "red .", 1.5, "chosen"],
    ["p1", "chat", "tell color of fox", "blue .", -0.5, "rejected"],
]


def settings(**changes: Any) -> WandbTracking:
    values: dict[str, Any] = {
        "name": "wandb", "mode": "offline", "project": "paper", "entity": None, "base_url": None, "tags": ["t1"],
        "sample_prompts": 2, "system_metrics": False, "timeout_s": 20,
    }  # fmt: skip
    return WandbTracking.model_validate(values | changes)


def info(folder: Path, **changes: Any) -> RunInfo:
    return RunInfo("demo", folder, {**CONFIG, **changes}, "sweep-1", "mutual_taught", {STAGE: KEY})


def opened(folder: Path, say: Callable[[str], None] = print, **changes: Any) -> Guarded:
    """Open a W&B tracker and introduce the run to it."""
    tracker = settings(**changes).open(info(folder), say)
    assert tracker is not None
    return tracker


def record(folder: Path, state: str = "finished", **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "record.json"
    path.write_text(json.dumps({"schema": 1, "name": "demo", "state": state, **changes}))
    return path


def tell(tracker: Guarded, folder: Path, steps: range = range(5), state: str = "finished") -> None:
    """Send everything that a run sends."""
    for step in steps:
        tracker.log(curve_values(STAGE, {"loss": 1 / (step + 1), "learning_rate": 1e-4}), curve_axis(STAGE), step)
    for model, iteration, metric in METRICS:
        tracker.log(metric_values(model, [metric]), "iteration", iteration)
    tracker.table("samples/responses", ["prompt_id", "section", "prompt", "response", "reward", "role"], SAMPLES, 1)
    rows = [[iteration, model, *asdict(metric).values()] for model, iteration, metric in METRICS]
    tracker.table("tables/metrics", METRIC_COLUMNS, rows, None)
    tracker.table("tables/stages", ["stage", "key", "state", "seconds"], [[STAGE, KEY, "computed", 1.5]], None)
    tracker.finish(state, record(folder, state))


def run_script(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has no tracker's service yet, neither its own nor that of these tests."""
    own = {**environment(), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=own, timeout=120, capture_output=True, text=True)
