"""What a job asks for is what its processes get, on a cluster that binds tasks to cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launch import slurm
from launch.sweep import load
from mt.errors import LaunchError
from tests.slurm.cluster import Cluster
from tests.slurm.launched import Launched

pytestmark = pytest.mark.slurm
Make = Callable[..., Launched]
CPU = {"partition": None, "cpus": 1, "mem_gb": None, "time_min": 10, "extra": {}}
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
    one.submit(cpus=2, container=spying(tmp_path, "env -u OMP_NUM_THREADS nproc"))
    assert one.wait_until_over().finished
    assert seen(tmp_path) == ["2", "1"]


def test_extra_options_reach_their_kind_of_job_alone_and_the_jobs_are_found_all_the_same(
    cluster: Cluster, sweep: Make, tmp_path: Path
) -> None:
    one = sweep(JUDGED)
    hold = one.tell("train", "hold")
    cpu_extra = {"nice": 7, "exclusive": False}
    one.submit(cpu=CPU | {"extra": cpu_extra}, gpu_type="fake", gpus=2, extra={"exclude": "n2", "contiguous": True})
    one.wait_for_hold("train")
    ids = {job.name: job.id for job in one.status.jobs}
    assert set(slurm.tagged(load(one.folder).tag)) == set(ids.values())
    shown = {name: cluster.run("scontrol", "--oneliner", "show", "job", job_id) for name, job_id in ids.items()}
    trains, judges = shown["run"], shown["run-judge"]
    assert "TresPerNode=gres:gpu:fake:2" in trains
    assert "ExcNodeList=n2" in trains
    assert "Contiguous=1" in trains
    assert "Nice=7" in judges
    assert "ExcNodeList=(null)" in judges
    assert "gpu" not in judges.split("TresPerNode")[-1] or "TresPerNode" not in judges
    hold.unlink()
    assert one.wait_until_over().finished


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gpu_type": "a100"}, r"launch\.gpu_type=a100: no node of the default partition has such GPUs.*fake"),
        ({"gpus": 9}, r"launch\.gpus=9: no node of the default partition has so many GPUs.*at most 8"),
        ({"cpus": 64}, r"launch\.cpus=64: no node of the default partition with 1 GPU has so many CPUs.*at most 16"),
        ({"mem_gb": 65, "partition": "high"}, r"launch\.mem_gb=65: no node of partition high .*at most 64"),
        ({"cpu": CPU | {"cpus": 17}}, r"launch\.cpu\.cpus=17: no node of the default partition has .*at most 16"),
    ],
)
def test_what_no_node_has_is_refused_before_anything_is_submitted(
    changes: dict[str, Any], expected: str, cluster: Cluster, sweep: Make
) -> None:
    """On hold, SLURM would take it; released, it would wait for ever."""
    one = sweep(JUDGED)
    with pytest.raises(LaunchError, match=expected):
        one.submit(**changes)
    assert not slurm.tagged(load(one.folder).tag)
