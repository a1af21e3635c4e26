"""What clusters do to jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from launch.survey import JobStatus, survey
from launch.sweep import load
from tests.slurm.cluster import NODES, Cluster


def preempt(cluster: Cluster, node: str | None = None) -> None:
    """Take a node, or every node, for a short job of the partition that goes first."""
    nodes = ["-w", node] if node else ["-N", str(NODES)]
    place = ["-p", "high", *nodes, "--exclusive", "-t", "5", "-o", "/dev/null"]
    cluster.run("sbatch", *place, "--wrap", "sleep 1")


def work_process(folder: Path, job: str) -> psutil.Process:
    """Return the process that does a job's work."""
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if "launch.work" in line and line[-2:] == [str(folder), job]:
            return process
    raise AssertionError(f"no process works on {job}")


def wait_for_job(folder: Path, wanted: Callable[[JobStatus], bool]) -> JobStatus:
    """Return the first job that fulfils a condition, as soon as there is one."""
    return wait_for_jobs(folder, wanted, 1)[0]


def wait_for_jobs(folder: Path, wanted: Callable[[JobStatus], bool], count: int) -> list[JobStatus]:
    """Return the first jobs that fulfil a condition, as soon as there are so many at the same time."""
    while True:
        status = survey(folder, load(folder))
        found = [job for job in status.jobs if wanted(job)]
        if len(found) >= count:
            return found[:count]
        assert status.active, "the sweep ended before it could be disturbed"
        time.sleep(0.3)
