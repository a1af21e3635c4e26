"""Where a result comes from: code, packages, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch", "transformers", "accelerate", "deepspeed", "vllm", "peft", "tokenizers", "numpy", "scikit-learn",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=1)
def packages() -> dict[str, str]:
    """Return the versions of the packages that can change a result."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """Return commit, branch and whether the tree is dirty (with the hash of the difference)."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {"commit": None, "branch": None, "dirty": None}
    difference = git_difference()
    state = {"commit": commit, "branch": _git("rev-parse", "--abbrev-ref", "HEAD"), "dirty": bool(difference)}
    if difference:
        state["difference_sha256"] = hashlib.sha256(difference.encode()).hexdigest()
    return state


def git_difference() -> str:
    """Return the uncommitted changes as a patch, empty where there are none."""
    difference = _git("diff", "--binary", "HEAD")
    return f"{difference}\n" if difference else ""


def host() -> dict[str, Any]:
    """Return the machine and, inside SLURM, the job that this process belongs to."""
    job = {name: os.environ[name] for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT") if name in os.environ}
    return {"name": socket.gethostname(), "pid": os.getpid(), "cpus": os.cpu_count(), **job}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
