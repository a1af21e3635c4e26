"""The GPUs and CPUs that jobs of launch=local may use, with an nvidia-smi that answers as NVIDIA's does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import machine
from launch.machine import Gpu, MachineShare, cpu_shares, usable_gpus
from mt.errors import LaunchError

A, B = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "GPU-c6a11ef4-0d0e-4a8c-9a35-24b47c1a4f0e"
MIG = ["MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb"]
TWO_GPUS = f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})\nGPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})"
ONE_CUT = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
  MIG 3g.20gb     Device  0: (UUID: {MIG[0]})
  MIG 3g.20gb     Device  1: (UUID: {MIG[1]})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})"""

Smi = Callable[..., None]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    """Put an nvidia-smi on the path that lists GPUs, and those on which somebody computes."""

    def make(listed: str, busy: str = "") -> None:
        script = f'#!/bin/sh\ncase "$1" in\n-L) echo "{listed}";;\n--query-compute-apps=*) echo "{busy}";;\nesac\n'
        (tmp_path / "nvidia-smi").write_text(script)
        (tmp_path / "nvidia-smi").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(machine, "_POLL_S", 0.01)
    return make


def test_without_a_choice_of_the_user_s_all_gpus_are_used_on_which_nobody_computes(smi: Smi) -> None:
    smi(TWO_GPUS)
    assert [gpu.name for gpu in usable_gpus()] == [A, B]
    smi(TWO_GPUS, busy=A)
    assert [gpu.name for gpu in usable_gpus()] == [B]
    smi(ONE_CUT)
    assert [gpu.name for gpu in usable_gpus()] == [*MIG, B]


def test_where_others_compute_on_every_gpu_the_user_has_to_name_some(smi: Smi, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(TWO_GPUS, busy=f"{A}\n{B}")
    with pytest.raises(LaunchError, match=r"compute on all of them.*CUDA_VISIBLE_DEVICES=0,1"):
        usable_gpus()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert usable_gpus() == [Gpu("1", B)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("1,0", [("1", B), ("0", A)]),
        (f"{B}, GPU-5d5b", [(B, B), ("GPU-5d5b", A)]),
        (MIG[1], [(MIG[1], MIG[1])]),
        ("0,-1,1", [("0", A)]),
        ("", []),
    ],
)
def test_a_gpu_has_one_id_whatever_cuda_visible_devices_calls_it(
    smi: Smi, monkeypatch: pytest.MonkeyPatch, named: str, expected: list[tuple[str, str]]
) -> None:
    smi(ONE_CUT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert usable_gpus() == expected


@pytest.mark.parametrize(
    ("named", "refused"),
    [("0,7", "7: there is no such GPU. Allowed: 0 to 1, or a UUID"), ("all", "all: there is no such GPU"),
     (f"0,{A}", f"{A}: it is named twice"), ("1,1", "1: it is named twice")],
)  # fmt: skip
def test_names_with_which_cuda_shows_no_gpu_are_refused(
    smi: Smi, monkeypatch: pytest.MonkeyPatch, named: str, refused: str
) -> None:
    """Its jobs would compute on the CPU."""
    smi(ONE_CUT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with pytest.raises(LaunchError, match=f"CUDA_VISIBLE_DEVICES={refused}"):
        usable_gpus()


def test_where_nvidia_smi_says_nothing_the_names_count(smi: Smi, monkeypatch: pytest.MonkeyPatch) -> None:
    smi("")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,MIG-GPU-1f0c/1/0")
    assert usable_gpus() == [Gpu("7", "7"), Gpu("MIG-GPU-1f0c/1/0", "MIG-GPU-1f0c/1/0")]


def test_two_jobs_never_hold_one_gpu_by_whatever_name(smi: Smi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "to be restored")
    by_index = MachineShare((Gpu("0", A), Gpu("1", B)), 1, ())
    by_uuid = MachineShare((Gpu(A, A), Gpu(B, B)), 1, ())
    entered = threading.Event()

    def wait() -> None:
        with by_index.held(lambda: False):
            entered.set()

    with by_index.held(lambda: False):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        with by_uuid.held(lambda: False):
            assert os.environ["CUDA_VISIBLE_DEVICES"] == B
            third = threading.Thread(target=wait)
            third.start()
            assert not entered.wait(0.3), "both GPUs are taken"
            with pytest.raises(LaunchError, match="waited for a free GPU"), by_uuid.held(lambda: True):
                pass
        third.join(timeout=30)
        assert entered.is_set()
        with pytest.raises(LaunchError), MachineShare(by_uuid.gpus, 2, ()).held(lambda: True):
            pass
    with MachineShare(by_uuid.gpus, 2, ()).held(lambda: True):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == f"{A},{B}"


@pytest.mark.parametrize(
    ("cpus", "width", "expected"),
    [({0, 1, 2, 3}, 2, [(0, 2), (1, 3)]), ({5}, 2, [(5,), (5,)]), ({2, 3, 8}, 2, [(2, 8), (3,)])],
)
def test_slots_share_the_cpus(
    monkeypatch: pytest.MonkeyPatch, cpus: set[int], width: int, expected: list[tuple[int, ...]]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cpus)
    assert cpu_shares(width) == expected
