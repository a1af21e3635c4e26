"""A real sweep of the world, tracked offline: its W&B files, its tables and its notebooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.frame import load
from analysis.tables import main, table
from tests.analysis.notebook import execute, running_kernel
from tests.small import small
from tests.tracking.wandb_files import OfflineRun, read_offline

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the four runs of Figure 4, small."""
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, "-m", "mt.run", "-m", "experiment=figure4", "rm_data=both,frozen"]
    command += ["seed=0", "tracking=wandb", *small(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "runs"


@pytest.fixture(scope="module")
def records(runs: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(runs.glob("*/*/record.json"))]
    return {one["name"]: one for one in found}


@pytest.fixture(scope="module")
def offline_runs(runs: Path) -> dict[str, OfflineRun]:
    found = [run for folder in sorted(runs.glob("*/*")) for run in read_offline(folder)]
    return {run.name: run for run in found}


def test_every_metric_is_tracked(records: dict[str, dict[str, Any]], offline_runs: dict[str, OfflineRun]) -> None:
    assert len(records) == 2 and records.keys() == offline_runs.keys()
    for name, record in records.items():
        offline_run = offline_runs[name]
        assert (offline_run.group, offline_run.job_type, offline_run.exit_code) == (record["sweep"], "mutual_taught", 0)
        logged = {
            (row["iteration"], key): value
            for row in offline_run.history
            for key, value in row.items()
            if key.startswith(("policy/", "reward/"))
        }
        for metric in record["metrics"]:
            key = f"{metric['model']}/{metric['benchmark']}/{metric['metric']}"
            assert logged[metric["iteration"], key] == metric["value"]


def test_every_run_shows_the_curves_of_all_its_trainings_also_of_those_that_another_run_computed(
    offline_runs: dict[str, OfflineRun],
) -> None:
    for offline_run in offline_runs.values():
        shown = {key.removeprefix("train/").rpartition("/")[0] for row in offline_run.history for key in row}
        trained = {
            slug for slug in offline_run.config["stages"] if slug.split("/")[-1].startswith(("train", "supervised"))
        }
        assert trained <= shown
    first, second = (offline_run.column("train/base/supervised_finetune/loss") for offline_run in offline_runs.values())
    assert first == second and first


def test_curves_have_what_a_training_is_watched_by(offline_runs: dict[str, OfflineRun]) -> None:
    names = {
        key.rpartition("/")[2] for offline_run in offline_runs.values() for row in offline_run.history for key in row
    }
    assert {
        "loss", "accuracy", "margin", "reward_chosen", "reward_rejected", "learning_rate", "gradient_norm",
        "tokens_per_second", "memory_mib",
    } <= names  # fmt: skip


def test_the_tables_that_these_runs_make_are_complete(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = table("figure4", load(runs))
    assert report.missing == ["pm", "contrast"] and not report.unmeasured and not report.short
    for name in ("table2", "figure3"):
        assert main([name, "--runs", str(runs), "--where", "rm_data=both"]) == 0
        out = capsys.readouterr().out
        assert "missing" not in out and "measured by no run" not in out


def test_the_notebooks_run_on_them(runs: Path) -> None:
    with running_kernel() as kernel:
        for name, title in (("figure4", "Figure 4"), ("figure3", "Figure 3"), ("table2", "Table 2")):
            assert title in execute(name, str(runs), kernel)
