"""Real runs on a real cluster, disturbed: the same numbers as in one process, every stage computed once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launch.survey import computed, survey
from launch.sweep import load
from tests.slurm.cluster import Cluster
from tests.slurm.disturb import wait_for_job, work_process
from tests.small import small

pytestmark = pytest.mark.slurm
SWEEP = ["objective=dpo,simpo", "iterations=1", "sweep=two"]
ON_SLURM = ["launch=slurm", "launch.cpus=1", "launch.cpu.cpus=1", "launch.signal_delay_s=60"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The metrics of both runs, computed in one process."""
    folder = tmp_path_factory.mktemp("inline")
    run_command(folder)
    return metrics(folder)


def run_command(folder: Path, *overrides: str) -> None:
    line = [sys.executable, "-m", "mt.run", "-m", *small(folder, *SWEEP, *overrides)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def metrics(folder: Path) -> dict[str, Any]:
    records = [json.loads(file.read_text()) for file in (folder / "runs" / "two").glob("*/record.json")]
    assert [record["state"] for record in records] == ["finished"] * 2
    return {record["name"]: record["metrics"] for record in records}


def wait_until_over(folder: Path) -> None:
    deadline = time.monotonic() + 600
    while survey(folder, load(folder)).active:
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.parametrize("share", ["true", "false"])
def test_a_disturbed_sweep_gives_the_numbers_of_an_undisturbed_one(
    share: str, cluster: Cluster, tmp_path: Path, undisturbed: Callable[..., Any]
) -> None:
    run_command(tmp_path, *ON_SLURM, f"launch.share={share}")
    folder = tmp_path / "runs" / "two"
    first = wait_for_job(folder, lambda job: job.state == "running" and job.done > 1 and bool(job.stage))
    work_process(folder, first.name).kill()
    second = wait_for_job(folder, lambda job: job.state == "running" and job.attempt == 1 and bool(job.stage))
    cluster.run("scontrol", "requeue", second.id)
    wait_until_over(folder)
    assert metrics(tmp_path) == undisturbed
    keys = [one.key for one in computed(folder, load(folder))]
    assert len(keys) == len(set(keys)), "no stage is computed twice"
    unseen = set(load(folder).stage) - set(keys)
    assert len(unseen) <= 1, "the kill may fall between a stage's publication and its line in the job's journal"
    assert all(cluster.final_state(job.id) == "COMPLETED" for job in survey(folder, load(folder)).jobs)
