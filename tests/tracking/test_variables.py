"""W&B's own variables: honoured where the command line says nothing else, or said to have no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError
from mt.tracking.wandb import WandbTracking
from tests.tracking.example import opened, record
from tests.tracking.wandb_files import read_offline


def composed(*overrides: str) -> WandbTracking:
    config = compose_runs(["tracking=wandb", *overrides])[0].config.tracking
    assert isinstance(config, WandbTracking)
    return config


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODE", "PROJECT", "ENTITY", "RUN_GROUP", "DIR", "NAME", "BASE_URL"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)


def test_variables_set_what_the_command_line_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (composed().mode, composed().project, composed().entity) == ("offline", "mutual-taught", None)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    found = composed()
    assert (found.mode, found.project, found.entity) == ("disabled", "mine", "team")
    found = composed("tracking.mode=online", "tracking.project=other", "tracking.entity=we")
    assert (found.mode, found.project, found.entity) == ("online", "other", "we")
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    with pytest.raises(ConfigError, match=r"tracking\.mode=dryrun: .*offline.*online.*disabled"):
        composed()


def test_a_group_is_honoured_and_what_has_no_effect_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    monkeypatch.setenv("WANDB_RUN_GROUP", "ablation")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("WANDB_NAME", "a name")
    monkeypatch.setenv("WANDB_PROJECT", "another")
    monkeypatch.setenv("WANDB_MODE", "online")
    folder = tmp_path / "demo"
    folder.mkdir()
    said: list[str] = []
    tracker = opened(folder, said.append)
    tracker.finish("finished", record(folder))
    assert said == [
        f"WANDB_DIR={tmp_path / 'elsewhere'} has no effect: W&B's files lie in the run's own folder",
        "WANDB_NAME=a name has no effect: a run has its own name (name=NAME)",
        "WANDB_MODE=online has no effect: tracking.mode=offline",
        "WANDB_PROJECT=another has no effect: tracking.project=paper",
    ]
    (run,) = read_offline(folder)
    assert (run.name, run.project, run.group) == ("demo", "paper", "ablation")
    assert not (tmp_path / "elsewhere").exists()
