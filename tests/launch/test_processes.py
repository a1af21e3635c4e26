"""Processes: ended with all their children, deaf to the stop signal, dead with their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

# each scenario runs in a process of its own: a tree is killed in it, and it adopts orphans
PRELUDE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from launch import processes
from launch.processes import *
def wait_for(path):
    while not Path(path).exists(): time.sleep(0.02)
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PRELUDE + script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_a_stopped_tree_leaves_nothing_behind_even_in_other_sessions(tmp_path: Path) -> None:
    done = run(
        """
child = "import subprocess; p = subprocess.Popen(['sleep', '300'], start_new_session=True); "
child += "open('pid', 'w').write(str(p.pid)); open('ready', 'w').close(); p.wait()"
process = processes.start([sys.executable, "-c", child], Path.cwd())
wait_for("ready")
processes.stop(process, grace_s=1)
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert not _lives(int((tmp_path / "pid").read_text()))


def test_the_stop_signal_does_not_reach_the_work(tmp_path: Path) -> None:
    done = run(
        """
process = processes.start([sys.executable, "-c", "open('ready', 'w').close(); import time; time.sleep(1)"], Path.cwd())
os.kill(process.pid, signal.SIGUSR2)
wait_for("ready")
os.kill(process.pid, signal.SIGUSR2)
print(process.wait())
""",
        tmp_path,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_work_dies_with_its_parent(tmp_path: Path) -> None:
    child = "from launch import processes; processes.die_with_parent(); open('ready', 'w').close(); "
    child += "import time; time.sleep(300)"
    run(
        f"""
process = processes.start([sys.executable, "-c", {child!r}], Path.cwd())
Path("pid").write_text(str(process.pid))
wait_for("ready")
os.kill(os.getpid(), signal.SIGKILL)
""",
        tmp_path,
    )
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
