"""Writing a sweep down: what it says, and what is refused before anything is submitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import slurm
from launch.survey import survey
from launch.sweep import FILE, Submission, find, load, names, read_configs, save, write_submitted
from mt.errors import LaunchError
from mt.workflow import provenance
from tests.slurm import fakes
from tests.slurm.launched import Launched, launch_config

Make = Callable[..., Launched]
DIRTY = {"commit": "c0ffee" * 7, "branch": "main", "dirty": True}


def finish(one: Launched) -> None:
    """Publish and record everything, as the sweep's jobs would."""
    for entry in load(one.folder).stages:
        (one.store.root / entry.address).mkdir(parents=True)
        (one.store.root / entry.address / "artifact.json").write_text("{}")
    for folder in load(one.folder).folder.values():
        folder.mkdir(exist_ok=True)
        (folder / "record.json").write_text('{"state": "finished"}')


def test_everything_is_written_down(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "git_state", lambda: dict(DIRTY))
    monkeypatch.setattr(provenance, "git_difference", lambda: "diff --git a b\n")
    one = sweep(fakes.grid(["dpo"], ["both", "contrast"]))
    one.write()
    found = load(one.folder)
    assert [run.name for run in found.runs] == ["dpo-both", "dpo-contrast"]
    assert [run.total for run in found.runs] == [5, 5]
    assert len(found.stages) == 7
    assert sorted(key for job in found.jobs for key in job.stages) == sorted(found.stage)
    assert found.git == {**DIRTY, "difference": "difference.patch"}
    assert (one.folder / "difference.patch").read_text() == "diff --git a b\n"
    assert read_configs(one.folder)["dpo-both"]["control"] == str(one.control)
    assert found.launch == launch_config()
    assert found.store == str(one.store.root)


def test_a_dirty_tree_is_refused_only_if_asked_to(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "git_state", lambda: dict(DIRTY))
    one = sweep(fakes.grid(["dpo"], ["both"]))
    with pytest.raises(LaunchError, match=r"launch\.require_clean=true: .*uncommitted changes\. Commit them"):
        one.write(require_clean=True)
    assert not one.folder.exists()


def test_a_name_that_is_taken_is_refused_with_what_to_do(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write()
    with pytest.raises(LaunchError, match=r"sweep=sweep: .*not finished.*launch\.resume sweep"):
        one.write()
    finish(one)
    with pytest.raises(LaunchError, match=r"sweep=sweep: a finished sweep of this name.*sweep=NAME"):
        one.write()


def test_what_a_refused_submission_left_is_not_taken_for_this_one(sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.write()
    write_submitted(one.folder, {"run": Submission.now("7")})
    (one.folder / FILE).unlink()
    one.write()
    assert load(one.folder).job["run"].submissions == []


def test_a_sweep_that_is_moved_is_as_finished_as_it_was(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo"], ["both"]))
    one.write()
    finish(one)
    elsewhere = one.folder.parent.rename(one.folder.parent.with_name("archive"))
    found = load(elsewhere / "sweep")
    assert found.folder == {"dpo-both": elsewhere / "sweep" / "dpo-both"}
    assert survey(elsewhere / "sweep", found).finished
    save(elsewhere / "sweep", found)
    assert str(elsewhere) not in (elsewhere / "sweep" / FILE).read_text(), "it may be moved again"


def test_an_unknown_sweep_names_the_nearest(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo"], ["both"]), "ablation")
    one.write()
    assert names(one.folder.parent) == ["ablation"]
    with pytest.raises(LaunchError, match=r"sweep=ablatoin: no such sweep.*Did you mean 'ablation'"):
        find(one.folder.parent, "ablatoin")


def test_a_damaged_file_is_one_line(sweep: Make) -> None:
    one = sweep(fakes.grid(["dpo"], ["both"]))
    one.write()
    values = json.loads((one.folder / FILE).read_text())
    (one.folder / FILE).write_text(json.dumps({**values, "jobs": "none"}))
    with pytest.raises(
        LaunchError, match=r"sweep\.json: damaged, or written by another version of this code \(jobs: .*sweep=NAME"
    ):
        load(one.folder)
    (one.folder / FILE).write_bytes(b"\xb5\x00")
    with pytest.raises(LaunchError, match=r"sweep\.json: damaged.*Invalid JSON"):
        load(one.folder)


def test_slurm_without_its_commands_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"launch=slurm: there is no sbatch on the path.*launch=local"):
        slurm.check_commands()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "sbatch: error: invalid partition specified: gpus\nsbatch: error: Batch job submission failed",
            "launch.partition=gpus",
        ),
        ("sbatch: error: Invalid account or account/partition combination specified", "launch.account=me"),
        ("sbatch: error: Requested node configuration is not available", "launch.gpus=8"),
        ("sbatch: error: something new", "launch=slurm: SLURM refused the submission: something new."),
    ],
)
def test_a_refusal_says_which_setting_it_is_about(said: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "run_command", lambda command: "Welcome\npartition=low\npartition=high\n")
    config = launch_config(partition="gpus", account="me", gpus=8)
    assert expected in slurm.refusal(said, config, gpu=True)  # type: ignore[arg-type]


def test_a_time_limit_shorter_than_its_signal_is_refused() -> None:
    with pytest.raises(ValueError, match=r"launch\.time_min=3: the stop signal comes .*at least 4 minutes"):
        launch_config(time_min=3)


def test_a_refusal_counts_where_sinfo_cannot_say_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(command: list[str]) -> str:
        raise LaunchError("sinfo: SLURM did not answer")

    monkeypatch.setattr(slurm, "run_command", silent)
    config = launch_config(name="slurm")
    assert "invalid partition" in slurm.refusal("sbatch: error: invalid partition specified: x", config, gpu=True)
