"""A run and its mirror: what is told, in which order, and that a failing mirror changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mt.config.compose import compose_runs
from mt.errors import UnexpectedError
from mt.methods.blueprint import Blueprint
from mt.methods.evaluations import Evaluation
from mt.methods.outcome import Iteration, Outcome
from mt.running.execution import run
from mt.running.record import Record
from mt.running.tracker_callbacks import mirrored
from mt.tracking.base import MetricRow, NoTracker, RunInfo, RunLink, SampleRow
from mt.types import Metric, Pair, Response, Rewards, Samples
from mt.workflow.plan import plan
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import Silent, Work

ASK = [{"role": "user", "content": "color of fox"}]
RED, BLUE = Response("red", 1), Response("blue", 1)


@dataclass(frozen=True, eq=False)
class Table(Stage):
    """A table of one row."""

    kind: str

    def run(self, work: Work) -> None:
        if self.kind == "samples":
            work.write([Samples("p", ASK, "chat", [RED, BLUE])], Samples)
        elif self.kind == "rewards":
            work.write([Rewards("p", [1.0, 0.0])], Rewards)
        else:
            work.write([Pair("p", ASK, "chat", RED, BLUE)], Pair)


@dataclass(frozen=True, eq=False)
class Measure(Stage):
    """One metric; fails where it is told to."""

    fails: bool

    def run(self, work: Work) -> None:
        if self.fails:
            raise ValueError("on purpose")
        work.write_metrics([Metric("gold", "win_rate", 0.6, 0.5, 0.7, 10)])


class Told(NoTracker):
    """A tracker that remembers, or fails at everything."""

    def __init__(self) -> None:
        self.link: RunLink | None = RunLink("-/paper", "id", "demo")
        self.fails = False
        self.events: list[tuple[str, Any]] = []

    def _note(self, event: str, what: Any) -> None:
        if self.fails and event in ("log", "samples"):
            raise RuntimeError("mirror broke")
        self.events.append((event, what))

    def start(self, run: RunInfo) -> None:
        self._note("start", (run.name, run.sweep, run.job_type))

    def log(self, rows: Sequence[MetricRow]) -> None:
        self._note("log", list(rows))

    def samples(self, iteration: int, rows: Sequence[SampleRow]) -> None:
        self._note("samples", (iteration, [(row.response, row.reward, row.role) for row in rows]))

    def summary(self, rows: Sequence[MetricRow]) -> None:
        self._note("summary", list(rows))

    def finish(self, state: str, record: Path | None) -> None:
        assert record is not None
        self._note("finish", (state, json.loads(record.read_text())["state"]))


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, stage: Stage | None, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr("mt.running.tracker_callbacks.open_tracker", lambda config, say: told)
    return told


def sketch(tmp_path: Path, *, fails: bool = False) -> Blueprint:
    (composed,) = compose_runs([f"store={tmp_path / 'store'}", "tracking=wandb"])
    model, measure = Table("pairs"), Measure(fails)
    samples, rewards, selected = Table("samples"), Table("rewards"), Table("selected")
    outcome = Outcome((Iteration(0, model, model), Iteration(1, model, model, samples, rewards, selected)))
    order = plan([samples, rewards, selected, measure])
    return Blueprint(composed.config, outcome, [Evaluation(1, "policy", measure)], order)


def execute(tmp_path: Path, *, fails: bool = False) -> list[str]:
    notes = Notes()
    run(sketch(tmp_path, fails=fails), tmp_path / "demo", [notes], "sweep")
    return notes.texts


METRIC = MetricRow(1, "policy", Metric("gold", "win_rate", 0.6, 0.5, 0.7, 10))


@pytest.mark.parametrize("attempt", ["computed", "reused"])
def test_a_run_tells_what_it_measures_and_how_it_ends(tmp_path: Path, told: Told, attempt: str) -> None:
    if attempt == "reused":
        execute(tmp_path)
        told.events.clear()
    execute(tmp_path)
    assert told.events == [
        ("start", ("demo", "sweep", "mutual_taught")),
        ("samples", (1, [("red", 1.0, "chosen"), ("blue", 0.0, "rejected")])),
        ("log", [METRIC]),
        ("summary", [METRIC]),
        ("finish", ("finished", "finished")),
    ]


def test_what_other_jobs_computed_is_told_at_the_end(tmp_path: Path, told: Told) -> None:
    execute(tmp_path)
    told.events.clear()
    one = sketch(tmp_path)
    record = Record(tmp_path / "demo", one, Store(tmp_path / "store"), "sweep")
    with mirrored(record, print):
        pass
    assert [event for event, _ in told.events] == ["start", "samples", "log", "summary", "finish"]
    assert told.events[-1] == ("finish", ("finished", "finished"))


def test_a_record_holds_no_secret(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    monkeypatch.setattr("sys.argv", ["run", "judge.key=very-secret-value"])
    execute(tmp_path)
    written = [path.read_text() for path in (tmp_path / "demo").iterdir() if path.is_file()]
    assert not [text for text in written if "very-secret-value" in text]
    assert json.loads((tmp_path / "demo" / "record.json").read_text())["command"].endswith("judge.key=***")


def test_a_failed_run_is_told_as_failed(tmp_path: Path, told: Told) -> None:
    with pytest.raises(UnexpectedError, match="on purpose"):
        execute(tmp_path, fails=True)
    assert told.events[-1] == ("finish", ("failed", "failed"))


def test_a_failing_mirror_is_said_once_and_the_run_goes_on(tmp_path: Path, told: Told) -> None:
    told.fails = True
    (said,) = execute(tmp_path)
    assert said == "tracking failed (RuntimeError: mirror broke); the run's record is complete"
    assert told.events[-1] == ("finish", ("finished", "finished"))
