"""Tracking against a server on loopback: one that works, and ones that fail in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.tracking import open_tracker
from mt.tracking.worker import Worker
from tests.tracking.example import STAGE, info, settings, tell
from tests.tracking.fake_wandb import ENTITY, KEY, FakeWandb, wait_for
from tests.tracking.wandb_files import read_offline


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


def run_once(folder: Path, steps: range = range(5), **changes: object) -> list[str]:
    """Track a whole run, and return what was said to the user."""
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    tracker = open_tracker(settings(mode="online", **changes), said.append)
    tracker.start(info(folder))
    tell(tracker, folder, steps)
    return said


def test_everything_arrives(server: FakeWandb, tmp_path: Path) -> None:
    said = run_once(tmp_path)
    run = server.only()
    assert said == [f"W&B: {server.url}/{ENTITY}/paper/runs/{run.name}"]
    assert (run.display_name, run.group, run.job_type) == ("demo", "sweep-1", "mutual_taught")
    assert run.values()["objective"] == {"name": "dpo", "beta": 0.1}
    steps = [row[f"train/{STAGE.slug}/step"] for row in run.history() if f"train/{STAGE.slug}/step" in row]
    assert steps == [0, 1, 2, 3, 4]
    assert run.summary()["policy/gold/win_rate"] == 0.61
    assert json.loads(run.files["record.json"])["name"] == "demo"
    assert (run.state, run.summary()["state"]) == ("finished", "finished")
    assert server.unknown == [], "the server misses nothing that is used"
    assert_the_key_went_to_the_server_only(server, tmp_path)


def assert_the_key_went_to_the_server_only(server: FakeWandb, folder: Path) -> None:
    assert any(len(header) > len(KEY) for header in server.authorizations), "the client did use the key"
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert KEY not in json.dumps(server.only().config)


def test_a_resumed_run_continues(server: FakeWandb, tmp_path: Path) -> None:
    run_once(tmp_path, range(3))
    run_once(tmp_path, range(3, 6))
    run = server.only()
    axis = f"train/{STAGE.slug}/step"
    assert [row[axis] for row in run.history() if axis in row] == [0, 1, 2, 3, 4, 5]
    assert [row["_step"] for row in run.history()] == list(range(len(run.history())))


@pytest.mark.parametrize("failure", ["error", "hang"])
def test_an_unreachable_server_is_said_once(server: FakeWandb, tmp_path: Path, failure: str) -> None:
    server.failure = failure
    (line,) = run_once(tmp_path, finish_timeout_s=3)
    assert line.startswith("W&B ") and f"python -m analysis.sync {tmp_path}" in line
    assert wait_for(lambda: [run.exit_code for run in read_offline(tmp_path)] == [0])
    (kept,) = read_offline(tmp_path)
    assert kept.column(f"train/{STAGE.slug}/step") == [0, 1, 2, 3, 4]


def test_a_server_that_breaks_later_is_said_once(server: FakeWandb, tmp_path: Path) -> None:
    said: list[str] = []
    tracker = open_tracker(settings(mode="online", finish_timeout_s=3), said.append)
    tracker.start(info(tmp_path))
    assert wait_for(lambda: bool(said))
    server.failure = "drop"
    tell(tracker, tmp_path)
    assert wait_for(lambda: len(said) == 2)
    assert said[0].startswith("W&B: ")
    assert f"python -m analysis.sync {tmp_path}" in said[1]
    assert not list(tmp_path.rglob("*.synced")), "it is left for a later upload"


def test_a_missing_key_is_said_while_the_run_goes_on(
    server: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    said: list[str] = []
    tracker = open_tracker(settings(mode="online"), said.append)
    tracker.start(info(tmp_path))
    assert wait_for(lambda: bool(said), 60)
    tell(tracker, tmp_path)
    (line,) = said
    assert line.startswith("W&B failed (upload: ")


def test_a_lost_worker_is_no_concern_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    (line,) = run_once(tmp_path, finish_timeout_s=5)
    assert line.startswith("W&B's process ended early. The run goes on, and")


def test_a_full_queue_leaves_out_curve_points_only(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = open_tracker(settings(queue_size=100), said.append)
    tracker.start(info(tmp_path))
    tell(tracker, tmp_path, range(5000))
    (line,) = said
    assert line.startswith("W&B lacks ") and "curves.jsonl" in line
    (run,) = read_offline(tmp_path)
    assert 0 < len(run.column(f"train/{STAGE.slug}/step")) < 5000
    assert run.column("policy/gold/win_rate") == [0.5, 0.61], "metrics are never left out"


@pytest.mark.parametrize(("reached", "left_s"), [(False, 20), (True, 30)])
def test_a_server_that_never_answered_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch, reached: bool, left_s: float
) -> None:
    now = [100.0]
    monkeypatch.setattr("mt.tracking.worker.time.monotonic", lambda: now[0])
    worker = Worker(lambda **event: None)
    worker.finish_timeout_s, worker.reached = 30.0, reached
    now[0] += 10
    assert worker.patience_s() == left_s
    now[0] += 90
    assert worker.patience_s() == (30 if reached else 0)
