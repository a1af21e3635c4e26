"""Sweeps of fake stages for tests that need no cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt.workflow.store import Store
from tests.slurm.launched import PROJECT, Launched


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launched]:
    """Make sweeps of fake stages that share one store."""
    monkeypatch.chdir(PROJECT)

    def make(runs: dict[str, list[list[Any]]], name: str = "sweep") -> Launched:
        return Launched(tmp_path / "runs" / name, tmp_path / "control", Store(tmp_path / "store"), runs)

    return make
