"""The README's figure and numbers come from a run's record."""

from __future__ import annotations

from pathlib import Path

from analysis.report.record import load_run
from benchmarks.readme import figure, numbers
from tests.analysis.report import fixture


def test_the_numbers_are_those_of_the_record(tmp_path: Path) -> None:
    run = load_run(fixture.make_run(tmp_path, fixture.mutual_taught(2)))
    lines = numbers(run).splitlines()
    assert lines[0] == "- The policy improved: as recorded."
    assert "| Win rate against π₀, by gold | 50.0% [48.0, 52.0] | 61.0% [59.0, 63.0] | 68.0% [66.0, 70.0] |" in lines
    assert "| Accuracy of r₀ on πₜ's responses | – | 79.0% [77.0, 81.0] | 79.0% [77.0, 81.0] |" in lines
    assert lines[-1] == "Measured at commit 0123456789, one seed."


def test_the_figure_is_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    run = load_run(fixture.make_run(tmp_path, fixture.mutual_taught(2)))
    drawn = figure(run)
    assert drawn == figure(run) and "Did the reward model improve?" in drawn
