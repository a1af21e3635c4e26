"""TensorBoard: what its own reader finds in a run's folder, and the refusal where it is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt.config.compose import compose_runs
from mt.errors import MissingPackageError
from mt.tracking.tensorboard import TensorBoardTracking
from tests.tracking.example import STAGE, info, tell

SETTINGS = TensorBoardTracking(name="tensorboard", sample_prompts=2, timeout_s=20)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def text(found: Any, tag: str) -> str:
    (event,) = found.Tensors(f"{tag}/text_summary")
    return str(event.tensor_proto.string_val[0].decode())


def test_scalars_tables_and_settings_are_there_also_after_a_resume(tmp_path: Path) -> None:
    said: list[str] = []
    for steps, state in ((range(3), "failed"), (range(3, 6), "finished")):
        tracker = SETTINGS.open(info(tmp_path), said.append)
        assert tracker is not None
        tell(tracker, tmp_path, steps, state)
    assert said == []
    files = sorted((tmp_path / "tensorboard").iterdir())
    assert len(files) == 2
    found = read(tmp_path)
    loss = [(event.step, event.value) for event in found.Scalars(f"train/{STAGE}/loss")]
    assert loss == [(step, pytest.approx(1 / (step + 1))) for step in range(6)]
    rates = [(event.step, event.value) for event in found.Scalars("policy/gold/win_rate")]
    assert rates[:2] == [(0, 0.5), (1, pytest.approx(0.61))]


def test_tables_are_markdown(tmp_path: Path) -> None:
    tracker = SETTINGS.open(info(tmp_path), print)
    assert tracker is not None
    tracker.table("samples/responses", ["response", "reward"], [["a | b\nc", 1.5], ["d", None]], 1)
    tell(tracker, tmp_path, range(0))
    first = read(tmp_path).Tensors("samples/responses/text_summary")[0]
    assert first.step == 1
    lines = first.tensor_proto.string_val[0].decode().splitlines()
    assert lines == ["| response | reward |", "| --- | --- |", "| a \\| b<br>c | 1.5 |", "| d |  |"]
    assert text(read(tmp_path), "run/state") == "finished"
    assert '"objective"' in text(read(tmp_path), "run/settings")


def test_where_it_is_not_installed_it_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_runs(["tracking=tensorboard"])[0].config.tracking
    assert isinstance(config, TensorBoardTracking)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"tracking=tensorboard: .*pip install 'mutual-taught\[tensorboard\]'"
    ):
        config.check()


def test_a_tracker_says_where_its_files_lie_and_what_to_do_with_them(tmp_path: Path) -> None:
    def files(*words: str) -> str:
        return compose_runs(list(words))[0].config.tracking.files(tmp_path)

    assert f"tensorboard --logdir {tmp_path}" in SETTINGS.files(tmp_path)
    assert f"python -m analysis.sync --runs {tmp_path} uploads" in files("tracking=wandb", "tracking.mode=offline")
    assert "uploaded to " in files("tracking=wandb", "tracking.mode=online")
    assert files("tracking=wandb", "tracking.mode=disabled") == files("tracking=disabled") == ""
