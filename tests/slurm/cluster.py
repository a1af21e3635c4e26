"""A private SLURM cluster, and what the tests do to it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
NODES = 3
UP = ("idle", "mixed", "allocated", "completing")


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need in the environment."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
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

    def clear(self) -> None:
        """Cancel everything and wait until it is gone."""
        if jobs := self.run("squeue", "-h", "-o", "%A").split():
            self.run("scancel", "--quiet", *jobs)
        deadline = time.monotonic() + 60
        while self.run("squeue", "-h").strip() and time.monotonic() < deadline:
            time.sleep(0.2)

    def node_of(self, job_id: str) -> str:
        """Return the node that a job runs on."""
        return self.run("squeue", "-h", "-r", "-j", job_id, "-o", "%N").strip()

    def forget(self) -> None:
        """Let SLURM know nothing of any job, as it does some time after they ended."""
        environment = {**os.environ, **self.environment}
        pid = int((self.folder / "run/slurmctld.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while _is_alive(pid):
            assert time.monotonic() < deadline, "slurmctld does not end"
            time.sleep(0.1)
        subprocess.run(["slurmctld", "-c", "-f", environment["SLURM_CONF"]], env=environment, check=True)
        while "idle" not in subprocess.run(["sinfo", "-h"], env=environment, capture_output=True, text=True).stdout:
            assert time.monotonic() < deadline, "the nodes do not come back"
            time.sleep(0.3)

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
        while (state := self.run("sinfo", "-h", "-n", node, "-p", "low", "-o", "%T").strip()) not in UP:
            assert time.monotonic() < deadline, f"{node} does not come back: {state}"
            time.sleep(0.5)
            resume = ["scontrol", "update", f"nodename={node}", "state=resume"]  # refused until it has registered
            subprocess.run(resume, env={**os.environ, **self.environment}, capture_output=True)


@contextlib.contextmanager
def running_cluster(accounting: str = "shim", user_signal: str = "yes") -> Iterator[Cluster]:
    """Start a cluster and stop it at the end.

    What stops it is a process that waits for the end of a pipe which this process holds: it comes however we end.
    """
    made = Cluster(Path(tempfile.mkdtemp(prefix="mt-slurm-")), free_port())
    script = f"read -r _; trap '' INT TERM; {HERE}/stop_cluster.sh {made.folder}; rm -rf {made.folder}"
    stopper = subprocess.Popen(
        ["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        command = [str(HERE / "start_cluster.sh"), str(made.folder), str(made.port), accounting, user_signal]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        yield made
    finally:
        assert stopper.stdin is not None
        stopper.stdin.close()
        stopper.wait(timeout=120)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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


def free_port() -> int:
    """Return a port whose followers, one per node, are free as well; several processes look in different places."""
    bases = list(range(21000, 29000, 20))
    random.shuffle(bases)
    for base in bases:
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + NODES + 1):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports between 21000 and 29000")
