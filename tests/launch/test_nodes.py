"""What sinfo says of a cluster's nodes."""

from __future__ import annotations

import pytest

from launch import nodes
from launch.nodes import Node, check_nodes, read_nodes
from launch.slurm import SubmissionRefused
from mt.config.launch import SlurmConfig
from mt.errors import LaunchError
from tests.slurm.launched import launch_config

SINFO = """\
*** maintenance | on | Friday | 8 to 10 ***
gpu*|64|1031000|gpu:a100:8(S:0-1),nvme:1
gpu*|128|515000|gpu:v100:2,gpu:a100:2
old|16|64000|gpu:4
older|16|64000|gpu:(null):2(S:0-1),craynetwork:4
cpu|256|2000000|(null)
"""


def config(**changes: object) -> SlurmConfig:
    made = launch_config("slurm", **changes)
    assert isinstance(made, SlurmConfig)
    return made


def test_nodes_of_a_partition_and_their_gpus_by_type() -> None:
    assert read_nodes(SINFO, None) == [Node(64, 1031000, {"a100": 8}), Node(128, 515000, {"v100": 2, "a100": 2})]
    assert read_nodes(SINFO, "old,cpu") == [Node(16, 64000, {"": 4}), Node(256, 2000000, {})]
    assert read_nodes(SINFO, "older") == [Node(16, 64000, {"": 2})]
    assert read_nodes(SINFO, "none") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gpus": 8, "cpus": 96}, r"launch\.cpus=96: .*with 8 GPUs has so many CPUs.*Allowed: at most 64"),
        ({"gpus": 4, "gpu_type": "v100"}, r"launch\.gpus=4: .*so many v100 GPUs.*Allowed: at most 2"),
        ({"gpus": 1, "gpu_type": "h100"}, r"launch\.gpu_type=h100: .*Allowed: a100, v100"),
        ({"partition": "old", "gpu_type": "v100"}, r"launch\.gpu_type=v100: .*its GPUs have no type"),
        ({"partition": "cpu"}, r"launch\.gpus=1: no node of partition cpu has so many GPUs.*Allowed: at most 0"),
    ],
)
def test_the_setting_that_no_node_meets_is_named(
    changes: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "run_command", lambda command: SINFO)
    with pytest.raises(SubmissionRefused, match=expected):
        check_nodes(config(**changes), gpu=True)


def test_a_job_without_gpus_asks_its_own_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "run_command", lambda command: SINFO)
    cpu = {"partition": "cpu", "cpus": 200, "mem_gb": None, "time_min": 10, "extra": {}}
    check_nodes(config(partition="old", cpu=cpu), gpu=False)
    with pytest.raises(SubmissionRefused, match=r"launch\.cpu\.cpus=200: no node of partition old has"):
        check_nodes(config(partition="old", cpu=cpu | {"partition": None}), gpu=False)


def test_nothing_is_refused_where_sinfo_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(command: object) -> str:
        raise LaunchError("sinfo: SLURM did not answer")

    monkeypatch.setattr(nodes, "run_command", silent)
    check_nodes(config(gpus=99), gpu=True)
    monkeypatch.setattr(nodes, "run_command", lambda command: SINFO)
    check_nodes(config(gpus=99, partition="unlisted"), gpu=True)
