"""Devices, precision and threads by name or by what is free."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from mt.engines import devices
from mt.errors import ConfigError
from tests.runtime.cgroups import pretend


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose_device("auto") == devices.choose_device("cuda") == torch.device("cuda:0")
    assert devices.choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(("wanted", "problem"), [("cuda:7", "no such device"), ("tpu", "not a device")])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str, problem: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=rf"device={wanted}: {problem}.*Allowed: auto, cpu, cuda, cuda:0"):
        devices.choose_device(wanted)


def test_dtypes_by_name() -> None:
    assert devices.choose_dtype("bfloat16") is torch.bfloat16
    with pytest.raises(ConfigError, match="Did you mean 'bfloat16'"):
        devices.choose_dtype("bfloat")


def test_threads_are_restored() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), devices.cpu_threads(before + 1) as chosen:
        assert chosen == torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("physical", "logical", "usable", "quota", "wanted", "expected"),
    [(8, 8, 8, 99.0, "", 8), (8, 16, 16, 99.0, "", 8), (8, 8, 2, 99.0, "", 2), (8, 16, 6, 99.0, "", 3),
     (8, 8, 8, 1.5, "", 2), (2, 2, 2, 0.3, "", 1), (8, 8, 8, 99.0, "3", 3)],
)  # fmt: skip
def test_threads_follow_what_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, physical: int, logical: int, usable: int, quota: float, wanted: str, expected: int
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical_=True, **kw: logical if kw.get("logical", 1) else physical)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: set(range(usable)))
    monkeypatch.setattr(devices, "_quota", lambda: quota)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert devices.own_cores() == expected


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/user/job", {"cpu.max": "max 100000", "user/cpu.max": "400000 100000"}, 4.0),
        ("0::/user/job", {"user/job/cpu.max": "50000 100000", "user/cpu.max": "400000 100000"}, 0.5),
        ("0::/docker/not-here", {"cpu.max": "200000 100000"}, 2.0),
        ("3:cpu,cpuacct:/box\n0::/", {"cpu,cpuacct/box/cpu.cfs_quota_us": "300000",
                                      "cpu,cpuacct/box/cpu.cfs_period_us": "100000"}, 3.0),
        ("1:cpu:/\n0::/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
    ],
)  # fmt: skip
def test_the_lowest_quota_of_the_process_s_cgroups_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], expected: float
) -> None:
    pretend(monkeypatch, tmp_path, own, files)
    assert devices._quota() == expected
