"""Building SmolLM2: what it refuses and what it leaves alone (the model itself: tests/models/test_smollm2.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from benchmarks import make_smollm2


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert make_smollm2.main(["--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path} is there already\n"
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_missing_package_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make_smollm2.main(["--output", str(tmp_path / "smollm2")]) == 2
    assert capsys.readouterr().err == "the package gguf is missing. Run: pip install .[smollm2]\n"


def test_another_wheel_is_refused_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"other")
    assert make_smollm2.main(["--output", str(tmp_path / "models" / "smollm2"), "--wheel", str(wheel)]) == 1
    assert "has the SHA-256" in capsys.readouterr().err
    assert not list((tmp_path / "models").iterdir())
