"""A sample of `make soak`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.__main__ import main
from tests.soak.damage import damage
from tests.soak.found import Found
from tests.soak.inputs import give
from tests.soak.judge import judge
from tests.soak.kills import kill


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    found = kill(tmp_path, 0, 2)
    assert found.counts["kills"] >= 2 and found.faults == []


def test_a_damaged_file_costs_a_recomputation(tmp_path: Path) -> None:
    found = damage(tmp_path, 0, 2)
    assert (found.counts["files"], found.faults) == (2, [])


def test_a_judge_that_fails_keeps_its_limit_and_loses_nothing(tmp_path: Path) -> None:
    found = judge(tmp_path, 0, 90)
    assert found.counts["requests"] > 60 and found.faults == []


def test_bad_inputs_are_taken_or_refused_in_one_line(tmp_path: Path) -> None:
    found = give(tmp_path, 0, 8)
    assert (found.counts["inputs"], found.faults) == (8, [])
    assert found.counts["refused"] > 3


def test_an_unfinished_soak_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, int, int]] = []

    def step(name: str, seed: int, before: int) -> Found:
        begun.append((name, seed, before))
        if len(begun) == 2:
            raise RuntimeError("a step that died")
        return Found(Counter(races=1), [f"fault {len(begun)}"])

    monkeypatch.setattr("tests.soak.__main__.step", step)
    words = ["races", "--seed", "5", "--output", str(tmp_path / "faults.md")]
    with pytest.raises(RuntimeError, match="died"):
        main(words)
    assert main(words) == 1
    assert begun == [("races", 5, 0), ("races", 5, 1), ("races", 5, 1)]
    page = (tmp_path / "faults.md").read_text()
    assert "**2 faults.**" in page and "races: fault 1" in page and "races: fault 3" in page
    assert "Not finished: kills, damage, judge, inputs." in page
