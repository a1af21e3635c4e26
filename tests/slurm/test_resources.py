"""What a job asks for is what its processes get, on a cluster that binds tasks to cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.launched import Launched

pytestmark = pytest.mark.slurm
Make = Callable[..., Launched]
JUDGED = {"run": [["train", 0.2, [], "gpu"], ["judge", 0.2, ["train"], "network"]]}


def spying(tmp_path: Path, command: str) -> list[str]:
    """Return a launch.container that writes what a command prints on the node into a file of the job's name."""
    return ["/bin/sh", "-c", f'{command} >> {tmp_path}/seen.$SLURM_JOB_ID; exec "$@"', "sh"]


def seen(tmp_path: Path) -> list[str]:
    """Return what the jobs saw, in the order of their ids."""
    return [file.read_text().strip() for file in sorted(tmp_path.glob("seen.*"))]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core cannot be told from two")
def test_all_cores_of_a_job_are_its_work_s(cluster: Cluster, sweep: Make, tmp_path: Path) -> None:
    """Without --cpus-per-task of its own, srun would bind the work to one core (since SLURM 22.05)."""
    one = sweep(JUDGED)
    cpu = {"partition": None, "cpus": 1, "mem_gb": None, "time_min": 10}
    one.submit(cpus=2, cpu=cpu, container=spying(tmp_path, "env -u OMP_NUM_THREADS nproc"))
    assert one.wait_until_over().finished
    assert seen(tmp_path) == ["2", "1"]
