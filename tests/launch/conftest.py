"""Sweeps for tests that need no cluster: of fake stages, and of real ones whose jobs are not started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from launch import local, submit
from mt.config.compose import compose_runs
from mt.runtime.interruption import Interrupted
from mt.workflow.store import Store
from tests.slurm.launched import PROJECT, Launched
from tests.small import small


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launched]:
    """Make sweeps of fake stages that share one store."""
    monkeypatch.chdir(PROJECT)

    def make(runs: dict[str, list[list[Any]]], name: str = "sweep") -> Launched:
        return Launched(tmp_path / "runs" / name, tmp_path / "control", Store(tmp_path / "store"), runs)

    return make


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Launch a command line as far as to the processes of its jobs, which are not started."""

    def stop_here(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run", stop_here)

    def launch(overrides: Sequence[str], sweep: str | None = "sweep") -> Path:
        runs = compose_runs(small(tmp_path, "launch=local", *overrides), multirun=sweep is not None)
        with pytest.raises(Interrupted, match=r"nothing is lost\. python -m launch\.resume"):
            submit.submit(runs, sweep, Console(quiet=True))
        (folder,) = (tmp_path / "runs").iterdir()
        return folder

    return launch
