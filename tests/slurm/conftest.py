"""Private SLURM clusters on loopback, one per variant and session, started on demand and stopped at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt.workflow.store import Store
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.launched import PROJECT, Launched

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[str, str], Cluster]]:
    """Start a cluster of a variant (accounting, user signal) at its first use; stop all at the end."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where Debian puts the daemons
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        pytest.skip(f"SLURM is not installed here ({', '.join(missing)} missing): make test-slurm installs it")
    started: dict[tuple[str, ...], Cluster] = {}
    with contextlib.ExitStack() as stack:

        def start(*variant: str) -> Cluster:
            if variant not in started:
                started[variant] = stack.enter_context(running_cluster(*variant))
            return started[variant]

        yield start


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, clusters: Callable[[str, str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """An empty cluster in this test's environment; parametrize indirectly by (accounting, user signal)."""
    found = clusters(*getattr(request, "param", ("shim", "yes")))
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(PROJECT)
    yield found
    found.clear()


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Launched]:
    """Make sweeps of fake stages that share one store."""

    def make(runs: dict[str, list[list[Any]]], name: str = "sweep") -> Launched:
        control = tmp_path / "control"
        return Launched(tmp_path / "runs" / name, control, Store(tmp_path / "store"), runs)

    return make
