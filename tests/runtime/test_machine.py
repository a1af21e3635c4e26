"""What a container or a job leaves of a machine's memory."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mt.runtime import machine
from tests.runtime.cgroups import pretend

WHOLE = round(psutil.virtual_memory().total / 2**30, 1)
NO_LIMIT = "9223372036854771712"
"""What version 1 says where there is none."""


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"memory.max": str(2**30)}, 1.0),
        ("0::/", {"memory.max": "max"}, WHOLE),
        ("0::/slurm/job_7/step_0", {"slurm/job_7/memory.max": str(2**29), "slurm/job_7/step_0/memory.max": "max"}, 0.5),
        ("9:memory:/docker/7f\n0::/", {"memory/memory.limit_in_bytes": str(2**30)}, 1.0),
        ("9:memory:/\n0::/", {"memory/memory.limit_in_bytes": NO_LIMIT}, WHOLE),
        ("", {}, WHOLE),
    ],
)
def test_the_lowest_limit_of_the_process_s_cgroups_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], expected: float
) -> None:
    pretend(monkeypatch, tmp_path, own, files)
    assert machine.memory_here() == expected
