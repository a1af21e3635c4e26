"""The supervisor of a job: it leaves its end to SLURM as long as SLURM may want to queue it again."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from launch import job


class Waited(Exception):
    """It would have gone on waiting."""


@pytest.fixture
def slurm_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a SLURM job that is told to stop; returns the folder of commands, which is empty."""

    def waited(seconds: float) -> None:
        raise Waited

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waited))
    return tmp_path


def squeue(folder: Path, body: str) -> None:
    (folder / "squeue").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "squeue").chmod(0o755)


def test_a_running_job_waits_to_be_killed_and_a_cancelled_one_ends(slurm_job: Path) -> None:
    squeue(slurm_job, "echo state=RUNNING")
    with pytest.raises(Waited):
        job._linger()
    squeue(slurm_job, "echo a banner of the site; echo state=COMPLETING")
    job._linger()


@pytest.mark.parametrize("body", [None, "exit 1"])
def test_a_job_that_cannot_ask_slurm_waits_to_be_killed(slurm_job: Path, body: str | None) -> None:
    """In a container without its commands, say: ending by itself, a preempted job would count as failed."""
    if body is not None:
        squeue(slurm_job, body)
    with pytest.raises(Waited):
        job._linger()


def test_outside_slurm_there_is_nothing_to_wait_for(slurm_job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    job._linger()
