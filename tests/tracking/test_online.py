"""Tracking against a server on loopback: one that works, and ones that fail in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mt.tracking import guard
from mt.tracking.upload import is_open
from tests.tracking.example import STAGE, opened, run_script, tell
from tests.tracking.fake_wandb import KEY, FakeWandb, wait_for
from tests.tracking.fake_wandb_answers import ENTITY
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
    tracker = opened(folder, said.append, mode="online", **changes)
    tell(tracker, folder, steps)
    return said


def test_everything_arrives(server: FakeWandb, tmp_path: Path) -> None:
    said = run_once(tmp_path)
    run = server.only()
    assert said == [f"W&B: {server.url}/{ENTITY}/paper/runs/{run.name}"]
    assert (run.display_name, run.group, run.job_type) == ("demo", "sweep-1", "mutual_taught")
    assert run.values()["objective"] == {"name": "dpo", "beta": 0.1}
    steps = [row[f"train/{STAGE}/step"] for row in run.history() if f"train/{STAGE}/step" in row]
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
    axis = f"train/{STAGE}/step"
    assert [row[axis] for row in run.history() if axis in row] == [0, 1, 2, 3, 4, 5]
    assert [row["_step"] for row in run.history()] == list(range(len(run.history())))


@pytest.mark.parametrize("failure", ["error", "hang"])
def test_an_unreachable_server_is_said_once(server: FakeWandb, tmp_path: Path, failure: str) -> None:
    server.failure = failure
    (line,) = run_once(tmp_path, timeout_s=3)
    assert line.startswith("W&B ") and f"python -m analysis.sync {tmp_path}" in line
    assert wait_for(lambda: [run.exit_code for run in read_offline(tmp_path)] == [0])
    (kept,) = read_offline(tmp_path)
    assert kept.column(f"train/{STAGE}/step") == [0, 1, 2, 3, 4]


def test_a_server_that_breaks_later_is_said_once(server: FakeWandb, tmp_path: Path) -> None:
    said: list[str] = []
    tracker = opened(tmp_path, said.append, mode="online", timeout_s=3)
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
    tracker = opened(tmp_path, said.append, mode="online")
    assert wait_for(lambda: bool(said), 60)
    tell(tracker, tmp_path)
    (line,) = said
    assert line.startswith("W&B failed (upload: ")


def test_a_client_that_hangs_costs_its_limit_once_and_what_it_wrote_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B's process stands still: the next call that waits for it is given up, and all that follow at once."""
    monkeypatch.setattr(guard, "_MARGIN_S", 1.0)
    said: list[str] = []
    tracker = opened(tmp_path, said.append)
    tracker.limit_s = 3
    tracker.log({"train/loss": 1.0}, "train/step", 0)
    assert wait_for(lambda: bool(read_offline(tmp_path)[0].history))
    (core,) = [child for child in psutil.Process().children() if "wandb-core" in child.name()]
    core.suspend()
    tell(tracker, tmp_path)
    (line,) = said
    assert "it took longer than" in line and f"python -m analysis.sync {tmp_path}" in line
    assert wait_for(lambda: not core.is_running() or core.status() == psutil.STATUS_ZOMBIE)
    (run,) = read_offline(tmp_path)
    assert run.column("train/loss") == [1.0]
    assert not is_open(tmp_path)
    tell(opened(tmp_path / "next", said.append), tmp_path / "next")
    assert len(said) == 1, "the next run of this process is tracked"
    assert read_offline(tmp_path / "next")[0].exit_code == 0


def test_the_process_of_a_client_that_hangs_ends(tmp_path: Path) -> None:
    code = f"""
        import psutil
        from pathlib import Path
        from mt.tracking import guard
        from tests.tracking.example import opened, tell
        guard._MARGIN_S = 1.0
        tracker = opened(Path({str(tmp_path)!r}))
        tracker.limit_s = 3
        [core] = [child for child in psutil.Process().children() if "wandb-core" in child.name()]
        core.suspend()
        tell(tracker, Path({str(tmp_path)!r}))
    """
    done = run_script(code)
    assert (done.returncode, done.stderr) == (0, "")
