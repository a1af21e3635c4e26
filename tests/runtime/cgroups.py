"""Cgroups that a test invents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mt.runtime import machine


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, own: str, files: Mapping[str, str]) -> None:
    """Give the process the cgroups `own` (lines of /proc/self/cgroup), with files below /sys/fs/cgroup."""
    for name, text in files.items():
        (folder / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name).write_text(text + "\n")
    (folder / "cgroup").write_text(own + "\n" if own else "")
    monkeypatch.setattr(machine, "CGROUPS", folder / "fs")
    monkeypatch.setattr(machine, "OWN_CGROUPS", folder / "cgroup")
