"""Run folders that several tests read; made once, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report import tables
from analysis.report.record import Run, StageRow, load_run, union
from analysis.report.tables import StoredTable
from tests.analysis.report import fixture


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two iterations with eight prompts a part."""
    return fixture.make_run(tmp_path_factory.mktemp("report"), fixture.mutual_taught(8))


@pytest.fixture(scope="session")
def run(run_folder: Path) -> Run:
    return load_run(run_folder)


@pytest.fixture(scope="session")
def stages(run: Run) -> dict[str, StageRow]:
    return union([run])


@pytest.fixture(scope="session")
def found(stages: dict[str, StageRow]) -> dict[str, StoredTable]:
    return tables.find(stages)[0]


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs over one store: two sorts of reward-model data, two seeds (of the record alone)."""
    root = tmp_path_factory.mktemp("sweep")
    for data in ("both", "pm"):
        for seed in (0, 1):
            config = {**fixture.config(), "seed": seed, "rm_data": {"name": data}}
            measured = fixture.metrics(offset=0.04 * seed)
            planned = fixture.mutual_taught(4, rm_data=data)
            fixture.make_run(root, planned, f"{data}-{seed}", sweep="sw", config=config, metrics=measured)
    return root / "runs"
