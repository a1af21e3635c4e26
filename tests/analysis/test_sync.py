"""Uploading later what was tracked offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.sync import main
from mt.tracking.upload import writing
from tests.tracking.example import AXIS, opened, tell
from tests.tracking.fake_wandb import FakeWandb


@pytest.fixture(scope="module")
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, server: FakeWandb) -> Iterator[Path]:
    """A run of two attempts, none of which reached the server."""
    runs = tmp_path_factory.mktemp("runs")
    folder = runs / "sweep" / "demo"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        for steps in (range(3), range(3, 6)):
            tell(opened(folder), folder, steps)
        yield runs


def test_runs_are_uploaded_once_and_in_order(
    runs: Path, server: FakeWandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What W&B leaves in the environment of a process whose client has ended.
    monkeypatch.setenv("WANDB_SERVICE", f"3-{os.getpid()}-unix-{tmp_path}/socket")
    assert main(["--runs", str(runs), "--dry-run"]) == 0
    assert capsys.readouterr().out == "sweep/demo  to be uploaded (2 attempts)\n"

    server.failure = "unauthorized"
    assert main(["--runs", str(runs), "--json"]) == 1
    (failed,) = json.loads(capsys.readouterr().out)
    assert failed["state"] == "failed" and failed["reason"]

    server.failure = None
    assert main(["--runs", str(runs), "demo"]) == 0
    run = server.only()
    url = f"{server.url}/team/paper/runs/{run.name}"
    assert capsys.readouterr().out == f"sweep/demo  uploaded (2 attempts)  {url}\n"
    assert [row[AXIS] for row in run.history() if AXIS in row] == [0, 1, 2, 3, 4, 5]
    assert json.loads(run.files["record.json"])["name"] == "demo"

    assert main(["--runs", str(runs)]) == 0
    assert capsys.readouterr().out == "sweep/demo  already uploaded\n"


def tracked(runs: Path) -> Path:
    """Return a run's folder with one attempt that waits."""
    file = runs / "demo" / "wandb" / "offline-run-1-abc" / "run-abc.wandb"
    file.parent.mkdir(parents=True)
    file.touch()
    return runs / "demo"


def test_a_run_whose_record_is_damaged_is_sent_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record says to which server it belongs."""
    record = tracked(tmp_path) / "record.json"
    record.write_text('{"schema": 1, "config": {"tracking": {"base_url": "https://wandb.exam')
    assert main(["--runs", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"{record}: damaged record (") and said.err.count("\n") == 1


def test_without_a_login_nothing_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    code = "import sys; from analysis.sync import main; sys.exit(main(sys.argv[1:]))"  # W&B remembers a login
    done = subprocess.run([sys.executable, "-c", code, "--runs", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "W&B=https://api.wandb.ai: nobody is logged in there. Log in once with wandb login, or set WANDB_API_KEY.\n"
    )


def test_a_run_is_named_by_its_folder_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(runs / "sweep" / "demo")]) == 0
    assert capsys.readouterr().out == f"{runs}/sweep/demo  already uploaded\n"


def test_a_run_that_is_still_written_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "demo" / "wandb" / "offline-run-1-abc" / "run-abc.wandb"
    file.parent.mkdir(parents=True)
    file.touch()
    with writing(file).hold():
        assert main(["--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("demo  still running")
    assert main(["--runs", str(tmp_path), "--dry-run"]) == 0
    assert capsys.readouterr().out == "demo  to be uploaded\n"


def test_an_unknown_run_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", str(runs), "other"]) == 2
    assert capsys.readouterr().err == ("RUN=other: no run of this name was tracked by W&B. Allowed: sweep/demo.\n")


def test_a_folder_without_tracked_runs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", str(tmp_path)]) == 2
    assert "no run here was tracked by W&B. Track runs with tracking=wandb" in capsys.readouterr().err
