"""A run and its tracker: what is reported, in which order, and that a failing tracker changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mt.config.compose import compose_runs
from mt.errors import UnexpectedError
from mt.methods.compile import CompiledRun
from mt.methods.evaluations import Evaluation
from mt.methods.run_graph import Iteration, RunGraph
from mt.running.execution import run
from mt.running.record import Record
from mt.running.tracker_callbacks import tracked
from mt.tracking.base import RunInfo
from mt.tracking.guard import Guarded
from mt.tracking.wandb import WandbTracking
from mt.types import Metric, Pair, Response, Rewards, Samples
from mt.workflow.plan import plan
from mt.workflow.position import Position
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.work import NullObserver, Work

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


@dataclass(frozen=True, eq=False)
class Train(Stage):
    """A training of two steps; it fails once, after the first, where the store's folder says so."""

    def run(self, work: Work) -> None:
        for step in range(2):
            work.curve(step, loss=float(step))
            breaks = work.store.root / "breaks"
            if breaks.exists():
                breaks.unlink()
                raise ValueError("on purpose")


class RecordingTracker:
    """A tracker that remembers, or fails at everything but its end."""

    def __init__(self) -> None:
        self.fails = False
        self.events: list[tuple[str, Any]] = []

    def _note(self, event: str, what: Any) -> None:
        if self.fails and event != "finish":
            raise RuntimeError("tracker broke")
        self.events.append((event, what))

    def start(self, run: RunInfo) -> None:
        self._note("start", (run.name, run.sweep, run.job_type, dict(run.stages or {})))

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        self._note("log", (dict(values), axis, step))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], iteration: int | None) -> None:
        self._note(name, [dict(zip(columns, row, strict=True)) for row in rows])

    def finish(self, state: str, record: Path) -> None:
        self._note("finish", (state, json.loads(record.read_text())["state"]))

    def give_up(self) -> None:
        self._note("give up", None)

    def of(self, event: str) -> list[Any]:
        return [what for name, what in self.events if name == event]


class Notes(NullObserver):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, stage: Stage | None, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> RecordingTracker:
    tracker = RecordingTracker()

    def opened(settings: WandbTracking, run: RunInfo, say: Callable[[str], None]) -> Guarded:
        guarded = Guarded(settings, say)
        guarded.start(tracker, run)
        return guarded

    monkeypatch.setattr(WandbTracking, "open", opened)
    return tracker


def sketch(tmp_path: Path, *, fails: bool = False) -> CompiledRun:
    (composed,) = compose_runs([f"store={tmp_path / 'store'}", "tracking=wandb"])
    model, measure = Table("pairs"), Measure(fails)
    samples, rewards, selected = Table("samples"), Table("rewards"), Table("selected")
    graph = RunGraph((Iteration(0, model, model), Iteration(1, model, model, samples, rewards, selected)))
    train = Train()
    order = plan([samples, rewards, selected, measure, train], {train.key: Position(iteration=1, step="E-step")})
    return CompiledRun(composed.config, graph, [Evaluation(1, "policy", measure)], order)


def execute(tmp_path: Path, *, fails: bool = False) -> list[str]:
    notes = Notes()
    run(sketch(tmp_path, fails=fails), tmp_path / "demo", [notes], "sweep")
    return notes.texts


TRAIN = "iteration-01-e-step/train"
METRIC = {f"policy/gold/win_rate{end}": value for end, value in {"": 0.6, "_low": 0.5, "_high": 0.7, "_n": 10}.items()}
POINTS = [({f"train/{TRAIN}/loss": float(step)}, f"train/{TRAIN}/step", step) for step in range(2)]


@pytest.mark.parametrize("attempt", ["computed", "reused"])
def test_a_run_reports_what_it_measures_and_how_it_ends(
    tmp_path: Path, tracker: RecordingTracker, attempt: str
) -> None:
    if attempt == "reused":
        execute(tmp_path)
        tracker.events.clear()
    execute(tmp_path)
    ((name, sweep, method, stages),) = tracker.of("start")
    assert (name, sweep, method) == ("demo", "sweep", "mutual_taught")
    assert set(stages) > {TRAIN, "measure"}
    (samples,) = tracker.of("samples/responses")
    assert [(row["response"], row["reward"], row["role"]) for row in samples] == [
        ("red", 1.0, "chosen"),
        ("blue", 0.0, "rejected"),
    ]
    assert (METRIC, "iteration", 1) in tracker.of("log")
    ((metric,),) = tracker.of("tables/metrics")
    assert (metric["model"], metric["metric"], metric["value"], metric["n"]) == ("policy", "win_rate", 0.6, 10)
    (became,) = tracker.of("tables/stages")
    assert {row["stage"]: row["state"] for row in became} == dict.fromkeys(stages, attempt)
    assert tracker.events[-1] == ("finish", ("finished", "finished"))


def test_a_run_shows_a_curve_once_whoever_computed_it(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(sketch(tmp_path), tmp_path / "other", [Notes()], "sweep")  # computes
    for folder, expected in (("demo", POINTS), ("demo", []), ("other", [])):
        tracker.events.clear()
        run(sketch(tmp_path), tmp_path / folder, [Notes()], "sweep")
        assert [row for row in tracker.of("log") if row[1] != "iteration"] == expected


def test_a_stage_that_failed_is_reported_and_its_curve_belongs_to_the_next_attempt(
    tmp_path: Path, tracker: RecordingTracker
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "breaks").touch()
    with pytest.raises(UnexpectedError):
        execute(tmp_path)
    assert {row["state"] for row in tracker.of("tables/stages")[0] if row["stage"] == TRAIN} == {"failed"}
    tracker.events.clear()
    execute(tmp_path)
    assert [row for row in tracker.of("log") if row[1] != "iteration"] == POINTS


def test_what_other_jobs_computed_is_reported_at_the_end(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(sketch(tmp_path), tmp_path / "other", [Notes()], "sweep")
    execute(tmp_path)
    (tmp_path / "demo" / "wandb" / "curves.txt").unlink()
    tracker.events.clear()
    record = Record(tmp_path / "demo", sketch(tmp_path), Store(tmp_path / "store"), "sweep")
    with tracked(record, print):
        assert [event for event, _ in tracker.events] == ["start"]
    assert [*POINTS, (METRIC, "iteration", 1)] == sorted(tracker.of("log"), key=lambda row: row[1] == "iteration")
    assert len(tracker.of("samples/responses")) == 1
    assert tracker.events[-1] == ("finish", ("finished", "finished"))


def test_a_record_holds_no_secret(tmp_path: Path, tracker: RecordingTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "very-secret-value")
    monkeypatch.setattr("sys.argv", ["run", "judge.key=very-secret-value"])
    execute(tmp_path)
    written = [path.read_text() for path in (tmp_path / "demo").iterdir() if path.is_file()]
    assert not [text for text in written if "very-secret-value" in text]
    assert json.loads((tmp_path / "demo" / "record.json").read_text())["command"].endswith("judge.key=***")


def test_a_failed_run_is_reported_as_failed(tmp_path: Path, tracker: RecordingTracker) -> None:
    with pytest.raises(UnexpectedError, match="on purpose"):
        execute(tmp_path, fails=True)
    assert tracker.events[-1] == ("finish", ("failed", "failed"))


def test_a_failing_tracker_is_reported_once_and_the_run_goes_on(tmp_path: Path, tracker: RecordingTracker) -> None:
    tracker.fails = True
    (said,) = execute(tmp_path)
    assert said.startswith("tracking failed (start: RuntimeError: tracker broke). The run goes on, and its record is")
    assert tracker.events[-1] == ("finish", ("finished", "finished"))


def test_a_tracker_that_cannot_be_opened_is_said_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(settings: WandbTracking, run: RunInfo, say: Callable[[str], None]) -> Guarded:
        raise RuntimeError("no such server\nat all")

    monkeypatch.setattr(WandbTracking, "open", refused)
    (said,) = execute(tmp_path)
    assert said == "tracking failed (RuntimeError: no such server). The run goes on, and its record is complete"
    assert json.loads((tmp_path / "demo" / "record.json").read_text())["state"] == "finished"
