"""What a tracked run really leaves in W&B's offline files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.tracking.upload import attempts as attempts_of
from mt.tracking.upload import is_open
from tests.tracking.example import AXIS, CONFIG, KEY, STAGE, info, opened, run_script, settings, tell
from tests.tracking.fake_wandb import FakeWandb, wait_for
from tests.tracking.wandb_files import OfflineRun, raw_bytes, read_offline

SECRET = "s3cr3t-value-of-a-key"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: FakeWandb) -> Path:
    """A run that was tracked twice: failed after three steps, then resumed to its end."""
    folder = tmp_path_factory.mktemp("runs") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", SECRET)
        patch.setenv("WANDB_API_KEY", "w" * 40)
        patch.setenv("WANDB_BASE_URL", server.url)
        for steps, state in ((range(3), "failed"), (range(3, 6), "finished")):
            folder.mkdir(exist_ok=True)
            said: list[str] = []
            run = info(folder, note=f"uses {SECRET}", judge={"api_key": "abc"})
            tracker = settings().open(run, said.append)
            assert tracker is not None
            tell(tracker, folder, steps, state)
            assert said == []
    return folder


@pytest.fixture(scope="module")
def attempts(folder: Path) -> list[OfflineRun]:
    return read_offline(folder)


def test_both_attempts_are_one_run(attempts: list[OfflineRun]) -> None:
    first, second = attempts
    assert first.run_id == second.run_id
    assert [first.resumed, second.resumed] == [False, True]
    assert [first.exit_code, second.exit_code] == [1, 0]


def test_the_run_introduces_itself(attempts: list[OfflineRun]) -> None:
    run = attempts[1]
    assert (run.name, run.project, run.group, run.job_type) == ("demo", "paper", "sweep-1", "mutual_taught")
    assert run.tags == ["method=mutual_taught", "objective=dpo", "t1"]
    assert run.config["objective"] == CONFIG["objective"]
    assert run.config["stages"] == {STAGE: KEY}


def test_curves_run_over_their_own_steps(attempts: list[OfflineRun]) -> None:
    name = f"train/{STAGE}"
    assert [step for run in attempts for step in run.column(f"{name}/step")] == [0, 1, 2, 3, 4, 5]
    assert attempts[0].column(f"{name}/loss") == [1, 1 / 2, 1 / 3]
    assert attempts[0].axes[f"{name}/*"] == f"{name}/step"


def test_metrics_run_over_iterations(attempts: list[OfflineRun]) -> None:
    run = attempts[1]
    rows = [row for row in run.history if "policy/gold/win_rate" in row]
    assert [(row["iteration"], row["policy/gold/win_rate"]) for row in rows] == [(0, 0.5), (1, 0.61)]
    assert (rows[1]["policy/gold/win_rate_low"], rows[1]["policy/gold/win_rate_high"]) == (0.55, 0.67)
    assert run.column("reward/gold/accuracy") == [0.82]
    assert run.axes["policy/*"] == run.axes["reward/*"] == "iteration"


def test_samples_and_final_metrics_are_tables(folder: Path, attempts: list[OfflineRun]) -> None:
    found = {
        name: json.loads(path.read_text())
        for path in folder.glob("wandb/*run-*/files/media/table/**/*.json")
        for name in ("responses", "metrics", "stages")
        if path.name.startswith(name)
    }
    assert found["responses"]["data"][1][3:] == ["blue .", -0.5, "rejected"]
    assert found["metrics"]["data"][1] == [1, "policy", "gold", "win_rate", 0.61, 0.55, 0.67, 100]
    assert found["stages"]["data"][0][:4] == [STAGE, KEY, "computed", 1.5]
    assert attempts[1].summary["tables/metrics.nrows"] == 3
    assert attempts[1].summary["state"] == "finished"


def test_the_record_is_kept_with_the_run(folder: Path, attempts: list[OfflineRun]) -> None:
    assert "record.json" in attempts[1].files
    kept = next(folder.glob(f"wandb/*run-*-{attempts[1].run_id}/files/record.json"))
    assert json.loads(kept.read_text())["name"] == "demo"


def test_no_secret_is_written(folder: Path, attempts: list[OfflineRun]) -> None:
    written = raw_bytes(folder)
    assert SECRET.encode() not in written
    assert b"w" * 40 not in written
    assert attempts[0].config["note"] == "uses ***"
    assert attempts[0].config["judge"] == {"api_key": "***"}


def test_nothing_is_sent(folder: Path, server: FakeWandb) -> None:
    assert read_offline(folder) and server.requests == []


def test_every_file_lies_in_the_run_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"wandb", "record.json"}
    assert (folder / "wandb" / ".scratch" / "data").is_dir(), "tables are staged inside the run's folder"


def test_a_killed_run_keeps_what_it_told(tmp_path: Path) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        from tests.tracking.example import AXIS, opened
        tracker = opened(Path({str(tmp_path)!r}))
        for step in range(4):
            tracker.log({{"train/loss": 1.0}}, AXIS, step)
        time.sleep(3)  # W&B writes every two seconds
        os.kill(os.getpid(), 9)
    """
    run_script(code)
    (run,) = read_offline(tmp_path)
    assert run.column(AXIS) == [0, 1, 2, 3]
    assert attempts_of(tmp_path) and wait_for(lambda: not is_open(tmp_path)), "it can be uploaded"


def test_a_run_is_open_while_its_process_writes(tmp_path: Path) -> None:
    tracker = opened(tmp_path)
    assert is_open(tmp_path)
    tell(tracker, tmp_path)
    assert attempts_of(tmp_path) and not is_open(tmp_path)


def test_w_and_b_s_own_variables_are_as_before_when_the_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_NAME", "mine")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    before = dict(os.environ)
    tell(opened(tmp_path, lambda line: None), tmp_path)
    assert os.environ == before


def test_a_mode_of_disabled_writes_nothing(tmp_path: Path) -> None:
    assert settings(mode="disabled").open(info(tmp_path), print) is None
    assert not list(tmp_path.iterdir())
