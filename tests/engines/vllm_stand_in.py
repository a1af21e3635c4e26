"""The real workers with a stand-in for vLLM: what they ask it for, process by process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mt.engines import vllm_pool

_FAKE = Path(__file__).parent / "fake_vllm"


class Seen:
    """What the workers asked of vLLM since the last look."""

    def __init__(self, log: Path) -> None:
        self.log, self._read = log, 0

    def rows(self) -> list[dict[str, Any]]:
        """Return the engines that were started, and the requests."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        rows, self._read = [json.loads(line) for line in lines[self._read :]], len(lines)
        return rows

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests in the order of their items."""
        return sorted((row for row in self.rows() if "number" in row), key=lambda row: int(row["number"]))


@contextmanager
def stand_in_for_vllm(log: Path) -> Iterator[Seen]:
    """Let the workers that are started in the block find the stand-in, for as long as they live."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(_FAKE), prepend=os.pathsep)
        patch.setenv("FAKE_VLLM", str(log))
        patch.setattr(vllm_pool, "check_installed", lambda group: None)
        patch.setattr(vllm_pool, "visible_gpus", list)
        yield Seen(log)
