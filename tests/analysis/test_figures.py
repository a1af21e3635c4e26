"""Figures are drawn from the same numbers that the tables print."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures import DRAWN, figure
from analysis.frame import load
from analysis.tables import main
from mt.errors import DataError
from tests.analysis.synthetic import write_runs


def test_figure3_stacks_wins_ties_and_losses(tmp_path: Path) -> None:
    (axes,) = figure("figure3", load(write_runs(tmp_path, "figure3"))).figure.axes
    found = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in axes.containers}
    assert found == {
        "win": [(0, 41), (0, 42), (0, 45)],
        "tie": [(41, 30), (42, 30), (45, 30)],
        "lose": [(71, 29), (72, 28), (75, 25)],
    }
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == "r_2 against r_1"


@pytest.mark.parametrize(("data", "marked"), [("world", False), ("ultrafeedback", True)])
def test_figure4_shows_policy_and_reward_model(tmp_path: Path, data: str, marked: bool) -> None:
    runs = write_runs(tmp_path, "figure4", range(1), **{"data.name": data})
    policy, reward = figure("figure4", load(runs)).figure.axes
    (shown,) = policy.containers
    assert [text.get_text() for text in policy.get_xticklabels()] == ["both", "pm", "contrast", "frozen"]
    assert list(shown[0].get_ydata()) == [52, 54, 56, 58]
    assert [list(bar[:, 1]) for bar in shown[2][0].get_segments()] == [[50, 54], [52, 56], [54, 58], [56, 60]]
    assert list(reward.containers[0][0].get_ydata()) == [86, 86, 86, 86]
    paper = [line for line in policy.lines if line.get_label() == "preprint"]
    assert bool(paper) == marked, "the paper's levels say nothing beside those of the world's tiny models"
    if paper:
        assert list(paper[0].get_ydata()[:2]) == [52.0, pytest.approx(46.68)]


def test_figure4_leaves_room_for_an_arm_that_no_run_has(tmp_path: Path) -> None:
    drawn = figure("figure4", load(write_runs(tmp_path, "figure4", range(1)), {"rm_data": "both"})).figure
    assert [[text.get_text() for text in axes.get_xticklabels()] for axes in drawn.axes] == [
        ["both", "pm", "contrast", "frozen"]
    ] * len(drawn.axes)


def test_figure5_compares_iterations(tmp_path: Path) -> None:
    (axes,) = figure("figure5", load(write_runs(tmp_path, "figure5", range(1)))).figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "1 against base", "2 against base", "2 against 1",
    ]  # fmt: skip
    assert [bar.get_height() for bar in axes.patches[3:6]] == [60, 60, 60]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_without_runs_of_its_own_is_drawn_empty(tmp_path: Path, name: str) -> None:
    frame = load(write_runs(tmp_path, "table3", range(1)))
    assert figure(name, frame).svg().startswith("<svg")


def test_a_table_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Allowed: figure3, figure4, figure5"):
        figure("table2", load(write_runs(tmp_path, "table2")))


def test_a_figure_as_a_page_is_small_and_needs_no_network(tmp_path: Path) -> None:
    write_runs(tmp_path, "figure4", range(1))
    written = tmp_path / "page.html"
    assert main(["figure4", "--runs", str(tmp_path), "--format", "html", "-o", str(written)]) == 0
    page = written.read_text()
    assert "<svg" in page and "<h2>Figure 4" in page and "contrast" in page
    assert "<script" not in page and len(page) < 200_000
