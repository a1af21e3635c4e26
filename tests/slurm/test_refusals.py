"""Bad input on a real cluster: SLURM's own words in one line, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.cancel import cancel
from launch.sweep import load
from mt.errors import LaunchError
from tests.slurm.cluster import Cluster
from tests.slurm.fakes import grid
from tests.slurm.launched import Launched, launch_config
from tests.small import small

pytestmark = pytest.mark.slurm
Make = Callable[..., Launched]


def check_nothing_is_left(cluster: Cluster, one: Launched) -> None:
    assert load(one.folder).tag not in cluster.run("squeue", "-h", "-o", "%k").split()


def test_unknown_partition(cluster: Cluster, sweep: Make) -> None:
    one = sweep(grid(["dpo"], ["both"]))
    with pytest.raises(LaunchError, match=r"launch\.partition=gpus: .*invalid partition specified: gpus.*low, high"):
        one.submit(partition="gpus")
    check_nothing_is_left(cluster, one)


def test_rejected_submission_cancels_what_was_submitted_before_it(cluster: Cluster, sweep: Make) -> None:
    """The GPU job is taken, the judge's job is not: neither may start."""
    one = sweep(grid(["dpo"], ["both"]))
    cpu = {"partition": "nowhere", "cpus": 1, "mem_gb": None, "time_min": 10, "extra": {}}
    with pytest.raises(LaunchError, match=r"launch\.cpu\.partition=nowhere: .*invalid partition"):
        one.submit(cpu=cpu)
    check_nothing_is_left(cluster, one)
    assert one.events("sample") == []


def test_a_job_that_slurm_took_without_saying_so_is_cancelled(
    cluster: Cluster, sweep: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the last submission is lost on its way: what was taken must not stay in the queue for ever."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "sbatch"
    lost = "Batch job submission failed: Socket timed out on send/recv operation"
    script.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" >&2\necho "sbatch: error: {lost}" >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    one = sweep(grid(["dpo"], ["both"]))
    with pytest.raises(LaunchError, match="Socket timed out"):
        one.submit()
    check_nothing_is_left(cluster, one)


def test_a_refused_command_can_be_given_again(cluster: Cluster, tmp_path: Path) -> None:
    """From the command line: one line, status 2, and no sweep that would be in the way of the corrected command."""
    line = [sys.executable, "-m", "mt.run", *small(tmp_path), "launch=slurm", "name=mine"]
    refused = subprocess.run([*line, "launch.partition=gpus"], capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "launch.partition=gpus: SLURM refused the submission" in refused.stderr
    cluster.run("scontrol", "update", "nodename=ALL", "state=drain", "reason=test")
    try:
        corrected = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert corrected.returncode == 0, corrected.stderr
        assert "1 job submitted to SLURM" in corrected.stdout
        assert cluster.run("squeue", "-h", "-o", "%m").split() == ["5G"], "what mt.plan --cost says of its stages"
        again = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert "sweep=mine: it was submitted already and is not finished" in again.stderr
        cancelled = cancel(tmp_path / "runs" / "mine", None)
        assert cancelled == ["mine"]
    finally:
        cluster.run("scontrol", "update", "nodename=ALL", "state=resume")


def test_what_slurm_accepts_but_cannot_run_says_why_it_waits(cluster: Cluster, sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    one.submit(extra={"exclude": "n[1-3]"})
    status = one.wait(lambda status: "BadConstraints" in status.jobs[0].why, "SLURM's reason")
    assert status.jobs[0].state == "queued"
    assert one.command("cancel", "sweep").returncode == 0


def test_a_store_that_the_node_does_not_see_is_said_by_the_first_job(cluster: Cluster, sweep: Make) -> None:
    """The setup line hides the store's mark, as a node does that has another file system at this path."""
    one = sweep(grid(["dpo"], ["both"]))
    one.submit(setup=[f"rm {one.store.root}/.mark"])
    status = one.wait_until_over()
    assert "does not see the store of the machine that submitted" in status.jobs[0].why
    assert "store=DIR" in status.jobs[0].why
    assert [job.state for job in status.jobs] == ["failed", "blocked"]
    assert one.events("sample") == []


def test_resume_with_other_settings(cluster: Cluster, sweep: Make) -> None:
    one = sweep({"run": [["only", 0.2, [], "gpu"]]})
    broken = one.tell("only", "fail")
    one.submit()
    assert one.wait_until_over().jobs[0].state == "failed"
    broken.unlink()
    refused = one.command("resume", "sweep", "launch.partition=gpus")
    assert refused.returncode == 2
    assert "invalid partition specified: gpus" in refused.stderr
    assert load(one.folder).launch == launch_config(), "what SLURM refused is not kept"
    unknown = one.command("resume", "sweep", "launch.partitoin=high")
    assert "launch.partitoin" in unknown.stderr
    done = one.command("resume", "sweep", "launch.partition=high")
    assert done.returncode == 0, done.stderr
    assert one.wait_until_over().finished
    assert load(one.folder).launch.partition == "high"  # type: ignore[union-attr]
