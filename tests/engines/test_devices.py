"""Devices, precision and threads by name or by what is free."""

from __future__ import annotations

import psutil
import pytest
import torch

from mt.engines import devices
from mt.errors import ConfigError


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
    ("physical", "logical", "usable", "quota", "busy", "expected"),
    [(8, 8, 8, 99.0, 0.1, 8), (8, 8, 8, 99.0, 6.8, 1), (8, 16, 16, 99.0, 3.2, 5), (8, 8, 2, 99.0, 0.0, 2),
     (8, 8, 8, 1.5, 0.0, 2), (2, 2, 2, 99.0, 7.0, 1)],
)  # fmt: skip
def test_threads_follow_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
    physical: int,
    logical: int,
    usable: int,
    quota: float,
    busy: float,
    expected: int,
) -> None:
    monkeypatch.setattr(
        psutil, "cpu_count", lambda logical_=True, **kw: logical if kw.get("logical", True) else physical
    )
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: set(range(usable)))
    monkeypatch.setattr(devices, "_quota", lambda: quota)
    monkeypatch.setattr(devices, "_busy_elsewhere", lambda: busy)
    assert devices.free_cores() == expected
