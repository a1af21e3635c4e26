"""A sample of `make soak`."""

from __future__ import annotations

import time
from pathlib import Path

from tests.soak.damage import damage
from tests.soak.inputs import give
from tests.soak.judge import judge
from tests.soak.kills import kill

FAR = time.monotonic() + 3600


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    found = kill(tmp_path, 0, 2, FAR)
    assert (found.count, found.faults) == (2, [])


def test_a_damaged_file_costs_a_recomputation(tmp_path: Path) -> None:
    found = damage(tmp_path, 0, 2, FAR)
    assert (found.count, found.faults) == (2, [])


def test_a_judge_that_fails_keeps_its_limit_and_loses_nothing(tmp_path: Path) -> None:
    found = judge(tmp_path, 0, 90)
    assert found.requests > 60 and found.faults == []


def test_bad_inputs_are_taken_or_refused_in_one_line(tmp_path: Path) -> None:
    found = give(tmp_path, 0, 8, FAR)
    assert (found.given, found.faults) == (8, [])
    assert found.refused > 3
