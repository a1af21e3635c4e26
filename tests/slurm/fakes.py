"""Cheap stages for the tests of launching: they sleep, write a number, and do what a control folder asks of them.

A file `<label>.<command>` in the control folder makes the stage of that label misbehave:
`fail` raises, `die` kills its own process, `hold` stops it after its first step until the file is gone.
Every start, hold and completed stage leaves a line in `<label>.log` and in `all.log`, with the GPUs that it may use,
and the CPUs in `<label>.cpus`. A stage of the kind "decide" stops the run where there is a file `<label>.stop`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from launch.create import NewRun
from launch.sweep import Sweep
from mt.errors import EngineError
from mt.runtime.child import logs_folder
from mt.types import Metric
from mt.workflow.plan import Plan, plan
from mt.workflow.position import Position
from mt.workflow.stage import Stage
from mt.workflow.store import DECISION, Store, write_json, write_text
from mt.workflow.work import Observer, Work, read_metrics

PLANNER = "tests.slurm.fakes:FakeRun"
STEP_S = 0.2


@dataclass(frozen=True, eq=False)
class Sleep(Stage):
    """Sleeps in steps that survive a kill, then publishes a number made of its label and its inputs' numbers."""

    UNKEYED: ClassVar[frozenset[str]] = frozenset({"seconds", "control"})
    label: str
    upstream: tuple[Stage, ...]
    seconds: float
    control: str

    def run(self, work: Work) -> None:
        self._log("start")
        write_json(Path(self.control) / f"{self.label}.cpus", sorted(os.sched_getaffinity(0)))
        steps = max(1, round(self.seconds / STEP_S))
        kept = work.scratch / "steps"
        done = int(kept.read_text()) if kept.exists() else 0
        while done < steps:
            time.sleep(STEP_S)
            self._misbehave()
            done += 1
            write_text(kept, str(done))
            work.progress(done, steps, "steps")
            self._hold()
        before = [read_metrics(work.path(stage))[0].value for stage in self.upstream]
        work.write_metrics([Metric("fake", self.label, _number(self.label, before))])
        self._log("done")

    def _misbehave(self) -> None:
        control = Path(self.control)
        if (control / f"{self.label}.fail").exists():
            folder = logs_folder()
            assert folder is not None
            (folder / "worker-0.log").write_text(f"loading\n{self.label} is out of memory\n")
            raise EngineError(f"{self.label}: told to fail")
        if (control / f"{self.label}.die").exists():
            os.kill(os.getpid(), signal.SIGKILL)

    def _hold(self) -> None:
        hold = Path(self.control) / f"{self.label}.hold"
        if hold.exists():
            self._log("hold")
        while hold.exists():
            time.sleep(STEP_S)

    def _log(self, event: str) -> None:
        for name in (self.label, "all"):
            with (Path(self.control) / f"{name}.log").open("a") as lines:
                lines.write(f"{event} {self.label} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")


@dataclass(frozen=True, eq=False)
class SleepOnGpu(Sleep):
    NEEDS: ClassVar[str] = "gpu"


@dataclass(frozen=True, eq=False)
class SleepOnNetwork(Sleep):
    NEEDS: ClassVar[str] = "network"


@dataclass(frozen=True, eq=False)
class SleepAndDecide(Sleep):
    DECIDES: ClassVar[bool] = True

    def run(self, work: Work) -> None:
        super().run(work)
        write_json(work.folder / DECISION, {"stopped": (Path(self.control) / f"{self.label}.stop").exists()})


KINDS: dict[str, type[Sleep]] = {
    "cpu": Sleep, "gpu": SleepOnGpu, "network": SleepOnNetwork, "decide": SleepAndDecide,
}  # fmt: skip


class FakeRun:
    """A run described by plain values: its stages as [label, seconds, inputs, kind]."""

    def __init__(self, values: dict[str, Any]) -> None:
        made: dict[str, Stage] = {}
        for label, seconds, inputs, kind in values["stages"]:
            made[label] = KINDS[kind](label, tuple(made[name] for name in inputs), seconds, values["control"])
        positions = {stage.key: Position(step=f"step {label}") for label, stage in made.items()}
        self.plan: Plan = plan(made.values(), positions)

    @contextmanager
    def tracked(self, sweep: Sweep, run: str) -> Iterator[list[Observer]]:
        yield []

    def record(self, folder: Path, sweep: Sweep, run: str, state: str, error: Exception | None = None) -> None:
        store = Store(Path(sweep.store))
        found = [stage for stage in self.plan.order if store.has(stage)]
        metrics = {one.metric: one.value for stage in found for one in read_metrics(store.path(stage))}
        facts = {"state": state, "error": str(error) if error else None, "metrics": metrics}
        write_json(sweep.folder[run] / "record.json", facts)


def new_runs(folder: Path, control: Path, runs: dict[str, list[list[Any]]]) -> list[NewRun]:
    """Describe runs for submission."""
    control.mkdir(parents=True, exist_ok=True)
    values = {name: {"stages": stages, "control": str(control)} for name, stages in runs.items()}
    return [NewRun(name, folder / name, [], values[name], FakeRun(values[name]).plan, {}) for name in runs]


def grid(objectives: Iterable[str], datas: Iterable[str], seconds: float = 0.4) -> dict[str, list[list[Any]]]:
    """Runs that share as a sweep over objectives and reward data does: sampling by all, training by objective."""
    return {
        f"{objective}-{data}": [
            ["sample", seconds, [], "gpu"],
            ["score", seconds, ["sample"], "gpu"],
            [f"train-{objective}", seconds, ["score"], "gpu"],
            [f"reward-{objective}-{data}", seconds, [f"train-{objective}"], "gpu"],
            [f"judge-{objective}-{data}", seconds, [f"reward-{objective}-{data}"], "network"],
        ]
        for objective in objectives
        for data in datas
    }


def expected(stages: list[list[Any]]) -> dict[str, float]:
    """Return the numbers that a run publishes when nothing disturbs it."""
    numbers: dict[str, float] = {}
    for label, _, inputs, _ in stages:
        numbers[label] = _number(label, [numbers[name] for name in inputs])
    return numbers


def metrics(folder: Path, run: str) -> dict[str, float]:
    """Return the numbers in a run's record."""
    facts = json.loads((folder / run / "record.json").read_text())
    assert facts["state"] == "finished", facts
    found: dict[str, float] = facts["metrics"]
    return found


def events(control: Path, label: str) -> list[str]:
    """Return what a stage logged: "start" and "done" in order."""
    file = control / f"{label}.log"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def most_at_once(control: Path) -> int:
    """Return how many stages ran at the same time at most."""
    running, most = 0, 0
    for event in events(control, "all"):
        running += {"start": 1, "done": -1}.get(event, 0)
        most = max(most, running)
    return most


def _number(label: str, before: list[float]) -> float:
    text = json.dumps([label, before])
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32
