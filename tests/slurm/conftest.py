"""Private SLURM clusters on loopback, one per variant and session, started on demand and stopped at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from pydantic import TypeAdapter
from rich.console import Console

from launch.create import create
from launch.states import JobStatus, SweepStatus, survey
from launch.submit import dispatch
from launch.sweep import driving, load
from mt.config.launch import DetachedConfig, LaunchConfig
from mt.workflow.store import Store
from tests.slurm import fakes

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
NODES = 3


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need in the environment."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {"SLURM_CONF": str(self.folder / "etc/slurm.conf"), "PATH": path}

    def run(self, *command: str) -> str:
        """Run one of SLURM's commands and return its output."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def state(self, job_id: str) -> str:
        """Return SLURM's own word for a job (an array that never began is told of as a whole)."""
        base = job_id.split("_")[0]
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-j", base, "-o", "%i %T").splitlines()
        found = dict(line.split() for line in lines)
        return found.get(job_id) or found[base]

    def final_state(self, job_id: str) -> str:
        """Return SLURM's own word once the job's processes are gone."""
        deadline = time.monotonic() + 60
        while (state := self.state(job_id)) in ("PENDING", "RUNNING", "COMPLETING") and time.monotonic() < deadline:
            time.sleep(0.3)
        return state

    def node_of(self, job_id: str) -> str:
        """Return the node that a job runs on."""
        return self.run("squeue", "-h", "-r", "-j", job_id, "-o", "%N").strip()

    def kill_node(self, node: str) -> None:
        """End a node as a power cut would: its daemon, its jobs' supervisors, and everything they run."""
        jobs = self.run("squeue", "-h", "-w", node, "-o", "%A").split()
        steps = [pid for job in jobs for pid in _processes_called(f"slurmstepd: [{job}.")]
        work = _processes_in(SLURMD_NODENAME=node, SLURM_CONF=self.environment["SLURM_CONF"])
        for pid in [int((self.folder / f"run/slurmd.{node}.pid").read_text()), *steps, *work]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def start_node(self, node: str) -> None:
        """Bring a node back."""
        conf = self.environment["SLURM_CONF"]
        subprocess.run(["slurmd", "-N", node, "-f", conf], env={**os.environ, **self.environment}, check=True)
        deadline = time.monotonic() + 60
        while (state := self.run("sinfo", "-h", "-n", node, "-p", "low", "-o", "%T").strip()) != "idle":
            assert time.monotonic() < deadline, f"{node} does not come back: {state}"
            time.sleep(0.5)
            resume = ["scontrol", "update", f"nodename={node}", "state=resume"]  # refused until it has registered
            subprocess.run(resume, env={**os.environ, **self.environment}, capture_output=True)


def _processes_called(title: str) -> list[int]:
    found = psutil.process_iter(["cmdline"])
    return [one.pid for one in found if " ".join(one.info["cmdline"] or []).startswith(title)]


def _processes_in(**variables: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if variables.items() <= process.environ().items():
                found.append(process.pid)
    return found


def _free_port() -> int:
    """Return a port whose followers, one per node, are free as well."""
    for base in range(21000, 29000, 20):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + NODES + 1):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports between 21000 and 29000")


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[str, str], Cluster]]:
    """Start a cluster of a variant (accounting, user signal) at its first use; stop all at the end."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"SLURM is not installed here ({', '.join(missing)} missing): make test-slurm installs it")
    started: dict[tuple[str, str], Cluster] = {}

    # a terminated pytest must stop its clusters too; munge insists on folders that everybody may enter
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def start(accounting: str, user_signal: str) -> Cluster:
        variant = accounting, user_signal
        if variant not in started:
            cluster = Cluster(Path(tempfile.mkdtemp(prefix="mt-slurm-")), _free_port())
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


def launch_config(**changes: Any) -> DetachedConfig:
    """Return `launch=slurm` with values for small tests."""
    values = {
        **yaml.safe_load((PROJECT / "conf/launch/slurm.yaml").read_text()),
        "gpus": 1,
        "cpus": 1,
        "time_min": 10,
        "cpu": {"partition": None, "cpus": 1, "mem_gb": None, "time_min": 10},
        "signal_delay_s": 60,
        "max_attempts": 3,
        **changes,
    }
    made = TypeAdapter(LaunchConfig).validate_python(values)
    assert isinstance(made, DetachedConfig)
    return made


@dataclass
class Launched:
    """A sweep of fake stages."""

    folder: Path
    control: Path
    store: Store
    runs: dict[str, list[list[Any]]]

    def submit(self, **changes: Any) -> None:
        """Write the sweep down and submit it, as `mt.run` does."""
        new = fakes.new_runs(self.folder, self.control, self.runs)
        with driving(self.folder):
            create(self.folder, new, launch_config(**changes), self.store, fakes.PLANNER)
            dispatch(self.folder, Console(quiet=True))

    def resume(self) -> None:
        """Submit what is missing."""
        with driving(self.folder):
            dispatch(self.folder, Console(quiet=True))

    @property
    def status(self) -> SweepStatus:
        """How the sweep stands."""
        return survey(self.folder, load(self.folder))

    def job(self, name: str) -> JobStatus:
        """How one of its jobs stands."""
        return next(job for job in self.status.jobs if job.name == name)

    def wait(self, condition: Callable[[SweepStatus], bool], what: str, timeout_s: float = 120) -> SweepStatus:
        """Wait until a condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition(status := self.status):
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}: {status}"
            time.sleep(0.3)
        return status

    def wait_until_over(self, timeout_s: float = 120) -> SweepStatus:
        """Wait until nothing runs or waits any more."""
        return self.wait(lambda status: not status.active, "the end", timeout_s)

    def wait_for_start(self, label: str) -> None:
        """Wait until a stage has begun and has done a step that it will not have to repeat."""
        count = len(self.events(label))
        self.wait(lambda status: len(self.events(label)) >= max(count, 1), f"{label} to start")
        time.sleep(3 * fakes.STEP_S)

    def events(self, label: str) -> list[str]:
        """What a stage logged."""
        return fakes.events(self.control, label)

    def tell(self, label: str, command: str) -> Path:
        """Make a stage misbehave; remove the returned file to mend it."""
        self.control.mkdir(parents=True, exist_ok=True)
        file = self.control / f"{label}.{command}"
        file.touch()
        return file

    def check_results(self) -> None:
        """Every run's numbers are those of an undisturbed sweep, and every stage was completed exactly once."""
        for name, stages in self.runs.items():
            assert fakes.metrics(self.folder, name) == fakes.expected(stages)
            for label, *_ in stages:
                assert self.events(label).count("done") == 1, label

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m launch.<name>` as from another shell."""
        line = [sys.executable, "-m", f"launch.{name}", "--runs", str(self.folder.parent), *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=PROJECT)


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Launched]:
    """Make sweeps of fake stages that share one store."""

    def make(runs: dict[str, list[list[Any]]], name: str = "sweep") -> Launched:
        control = tmp_path / "control"
        return Launched(tmp_path / "runs" / name, control, Store(tmp_path / "store"), runs)

    return make
