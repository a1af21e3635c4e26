"""A sweep of fake stages, launched as `mt.run` launches real ones."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from rich.console import Console

from launch.create import create
from launch.submit import dispatch
from launch.survey import JobStatus, SweepStatus, survey
from launch.sweep import driving, load
from mt.config.launch import DetachedConfig, LaunchConfig
from mt.workflow.store import Store
from tests.slurm import fakes

PROJECT = Path(__file__).parents[2]
SMALL: dict[str, dict[str, Any]] = {
    "local": {},
    "slurm": {
        "gpus": 1,
        "cpus": 1,
        "time_min": 10,
        **dict.fromkeys(("partition", "account", "qos", "constraint")),
        "cpu": {"partition": None, "cpus": 1, "mem_gb": None, "time_min": 10, "extra": {}},
        "signal_delay_s": 60,
    },
}


def launch_config(name: str = "slurm", **changes: Any) -> DetachedConfig:
    """Return `launch=<name>` with values for small tests."""
    values = yaml.safe_load((PROJECT / f"conf/launch/{name}.yaml").read_text())
    made = TypeAdapter(LaunchConfig).validate_python({**values, **SMALL[name], **changes})
    assert isinstance(made, DetachedConfig)
    return made


@dataclass
class Launched:
    """A sweep of fake stages."""

    folder: Path
    control: Path
    store: Store
    runs: dict[str, list[list[Any]]]

    def submit(self, name: str = "slurm", **changes: Any) -> None:
        """Write the sweep down and submit it, as `mt.run` does."""
        with driving(self.folder):
            self.write(name, **changes)
            dispatch(self.folder, Console(quiet=True))

    def write(self, name: str = "slurm", **changes: Any) -> None:
        """Write the sweep down."""
        new = fakes.new_runs(self.folder, self.control, self.runs)
        create(self.folder, new, launch_config(name, **changes), self.store, fakes.PLANNER)

    def resume(self) -> None:
        """Submit what is missing."""
        with driving(self.folder):
            dispatch(self.folder, Console(quiet=True))

    @property
    def status(self) -> SweepStatus:
        """How the sweep stands."""
        return survey(self.folder, load(self.folder))

    def job(self, name: str) -> JobStatus:
        """How one of its jobs stands."""
        return next(job for job in self.status.jobs if job.name == name)

    def wait(self, condition: Callable[[SweepStatus], bool], what: str, timeout_s: float = 120) -> SweepStatus:
        """Wait until a condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition(status := self.status):
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}: {status}"
            time.sleep(0.3)
        return status

    def wait_until_over(self, timeout_s: float = 120) -> SweepStatus:
        """Wait until nothing runs or waits any more."""
        return self.wait(lambda status: not status.active, "the end", timeout_s)

    def wait_for_hold(self, label: str) -> None:
        """Wait until a stage that was told to hold has done a step, which it will not have to repeat."""
        self.wait(lambda status: "hold" in self.events(label), f"{label} to hold")

    def events(self, label: str) -> list[str]:
        """What a stage logged."""
        return fakes.events(self.control, label)

    def tell(self, label: str, command: str) -> Path:
        """Make a stage misbehave; remove the returned file to fix it."""
        self.control.mkdir(parents=True, exist_ok=True)
        file = self.control / f"{label}.{command}"
        file.touch()
        return file

    def check_results(self) -> None:
        """Every run's numbers are those of an undisturbed sweep, and every stage was completed exactly once."""
        for name, stages in self.runs.items():
            assert fakes.metrics(self.folder, name) == fakes.expected(stages)
            for label, *_ in stages:
                assert self.events(label).count("done") == 1, label

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m launch.<name>` as from another shell."""
        return subprocess.run(self._line(name, arguments), capture_output=True, text=True, timeout=120, cwd=PROJECT)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `python -m launch.<name>` as from another shell."""
        return subprocess.Popen(self._line(name, arguments), stdout=subprocess.PIPE, text=True, cwd=PROJECT)

    def _line(self, name: str, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", f"launch.{name}", "--runs", str(self.folder.parent), *arguments]
