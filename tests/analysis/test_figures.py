"""Figures are drawn from the same numbers that the tables print."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures import figure
from analysis.frame import load
from analysis.tables import main
from mt.errors import DataError
from tests.analysis.synthetic import write_runs


def test_figure3_stacks_wins_ties_and_losses(tmp_path: Path) -> None:
    drawn = figure("figure3", load(write_runs(tmp_path, "figure3")))
    found = {trace.name: list(trace.x) for trace in drawn.data}
    assert found == {"win": [41, 42], "tie": [30, 30], "lose": [29, 28]}
    assert drawn.layout.barmode == "stack"


def test_figure4_shows_policy_and_reward_model_beside_the_paper(tmp_path: Path) -> None:
    drawn = figure("figure4", load(write_runs(tmp_path, "figure4", range(1))))
    policy, paper, reward, paper_reward = drawn.data
    assert list(policy.x) == ["both", "pm", "contrast", "frozen"]
    assert list(policy.y) == [52, 54, 56, 58] and list(policy.error_y.array) == [2, 2, 2, 2]
    assert list(paper.y) == [52.0, pytest.approx(46.68), None, None]
    assert list(reward.y) == [86, 86, 86, 86] and paper_reward.y[0] == 86.8


def test_figure5_compares_iterations(tmp_path: Path) -> None:
    drawn = figure("figure5", load(write_runs(tmp_path, "figure5", range(1))))
    assert [trace.name for trace in drawn.data] == ["1 against base", "2 against base", "2 against 1"]
    assert list(drawn.data[1].y) == [60, 60, 60]


def test_a_table_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Allowed: figure3, figure4, figure5"):
        figure("table2", load(write_runs(tmp_path, "table2")))


def test_a_figure_as_a_page_needs_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path, "figure4", range(1))
    assert main(["figure4", "--runs", str(tmp_path), "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert "Plotly.newPlot" in page and "<caption>Figure 4" in page
    assert '<script src="http' not in page
