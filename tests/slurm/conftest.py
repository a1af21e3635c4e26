"""Private SLURM clusters on loopback, one per variant and session, started on demand and stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mt.workflow.store import Store
from tests.slurm.cluster import Cluster, free_port
from tests.slurm.launched import PROJECT, Launched

HERE = Path(__file__).parent
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[str, str], Cluster]]:
    """Start a cluster of a variant (accounting, user signal) at its first use; stop all at the end."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where Debian puts the daemons
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        pytest.skip(f"SLURM is not installed here ({', '.join(missing)} missing): make test-slurm installs it")
    started: dict[tuple[str, str], Cluster] = {}

    # a terminated pytest must stop its clusters too; munge insists on folders that everybody may enter
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def start(accounting: str, user_signal: str) -> Cluster:
        variant = accounting, user_signal
        if variant not in started:
            cluster = Cluster(Path(tempfile.mkdtemp(prefix="mt-slurm-")), free_port())
            started[variant] = cluster
            command = [str(HERE / "start_cluster.sh"), str(cluster.folder), str(cluster.port), accounting, user_signal]
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            assert done.returncode == 0, done.stdout + done.stderr
        return started[variant]

    yield start
    for cluster in started.values():
        subprocess.run([HERE / "stop_cluster.sh", cluster.folder], capture_output=True, timeout=120)
        shutil.rmtree(cluster.folder)


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, clusters: Callable[[str, str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> Cluster:
    """A cluster in this test's environment; parametrize indirectly by (accounting, user signal)."""
    found = clusters(*getattr(request, "param", ("shim", "yes")))
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(PROJECT)
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Launched]:
    """Make sweeps of fake stages that share one store."""

    def make(runs: dict[str, list[list[Any]]], name: str = "sweep") -> Launched:
        control = tmp_path / "control"
        return Launched(tmp_path / "runs" / name, control, Store(tmp_path / "store"), runs)

    return make
