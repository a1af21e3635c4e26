"""Runs of a sweep that differ in settings without effect on them are pointed out; nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt.plan import main


def said(tmp_path: Path, capsys: pytest.CaptureFixture[str], *overrides: str) -> list[str]:
    assert main(["-m", "--json", f"store={tmp_path}", *overrides]) == 0
    lines: list[str] = json.loads(capsys.readouterr().out)["duplicate_runs"]
    return lines


def test_settings_that_a_method_does_not_use_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(tmp_path, capsys, "method=offline,mutual_taught", "rm_data=both,contrast")
    assert len(lines) == 1
    assert lines[0].count("offline-dpo-s0-") == 2
    assert lines[0].endswith("the same stages, the same results; no effect on them: rm_data")


def test_all_of_them_and_of_many_runs_the_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(tmp_path, capsys, "method=spin", "rm_data=both,contrast", "selection=best_worst,rejection")
    assert len(lines) == 1
    assert " and 2 more: " in lines[0]
    assert lines[0].endswith("no effect on them: rm_data, selection")


def test_runs_that_differ_are_not_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path, capsys, "rm_data=both,contrast", "seed=0,1") == []
