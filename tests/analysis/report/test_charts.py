"""Every chart holds exact numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.report import calibration, distributions, metrics, over_optimisation, training
from analysis.report.charts import Chart
from analysis.report.record import Run, StageRow
from analysis.report.sets import SampleSet, benchmark_sets, sample_sets
from analysis.report.tables import Table
from tests.analysis.report import fixture

Stages = dict[str, StageRow]


@pytest.fixture(scope="module")
def sets(stages: Stages, found: dict[str, Table]) -> list[SampleSet]:
    return sample_sets(stages, found)


def by_title(charts: list[Chart]) -> dict[str, Chart]:
    return {chart.title: chart for chart in charts}


def test_reward_histograms_compare_policies_under_one_scorer(sets: list[SampleSet]) -> None:
    chart = by_title(distributions.charts(sets))["Rewards given by reward model r₀"]
    assert [(one.name, one.role, one.n) for one in chart.series] == [
        ("π₀", "before", [80]), ("π₁", "between", [80]), ("π₂", "after", [40]),
    ]  # fmt: skip
    assert [one.labels for one in chart.series] == [["mean 2"], ["mean 3"], ["mean 4"]]
    for one in chart.series:
        assert sum(one.y) == pytest.approx(1.0)
        assert sorted(y for y in one.y if y) == pytest.approx([0.2] * 5)


def test_lengths_are_counted_in_whole_bins(sets: list[SampleSet]) -> None:
    chart = by_title(distributions.charts(sets))["Lengths of responses"]
    first = chart.series[0]
    assert [(x, y) for x, y in zip(first.x, first.y, strict=True) if y] == [(n, 0.2) for n in (4, 5, 6, 7, 8)]


def test_one_outlier_does_not_flatten_a_histogram() -> None:
    values = np.concatenate([np.linspace(0, 1, 2000), [1e6]])
    edges = distributions.bin_edges(values, 40)
    assert edges[-1] <= 1.0
    assert distributions.shares(values, edges).sum() == pytest.approx(1.0)


def test_equal_values_have_a_bin() -> None:
    edges = distributions.bin_edges(np.full(7, 3.0), 8)
    assert distributions.shares(np.full(7, 3.0), edges).sum() == pytest.approx(1.0)


def test_calibration_by_hand(sets: list[SampleSet]) -> None:
    chart = by_title(calibration.charts(sets, []))["Calibration on samples of π₀"]
    (series,) = chart.series
    # Of a prompt's ten pairs one is ordered wrong, by a difference of 1; three more differ by 1 and are right.
    sigma = [1 / (1 + math.exp(-d)) for d in (1, 2, 3, 4)]
    assert series.x[0] == pytest.approx(sigma[0], abs=1e-5)
    assert series.y[0] == pytest.approx(3 / 4)
    assert series.n[0] == 4 * 8
    assert series.y[1:] == [1.0] * len(series.y[1:])
    assert sum(series.n) == 80
    assert series.name.startswith("r₀ · calibration error") and "accuracy 90.0%" in series.name
    assert all(low <= y <= high for low, y, high in zip(series.low, series.y, series.high, strict=True))


def test_pairs_that_gold_hardly_tells_apart_do_not_count(sets: list[SampleSet]) -> None:
    chart = by_title(calibration.charts(sets, [], gold_margin=0.15))["Calibration on samples of π₀"]
    assert sum(chart.series[0].n) == 6 * 8


def test_held_out_pairs_need_no_gold(stages: Stages, found: dict[str, Table]) -> None:
    (chart,) = calibration.charts([], benchmark_sets(stages, found))
    assert chart.title == "Calibration on held-out pairs"
    assert (chart.series[0].n, chart.series[0].y) == ([4], [0.0])  # the fixture's r₀ prefers the second response


def test_gold_against_proxy_by_hand(sets: list[SampleSet]) -> None:
    (chart,) = over_optimisation.charts(sets)
    (series,) = [one for one in chart.series if one.name == "proxy r₀"]
    assert series.labels == ["π₀", "π₁", "π₂"]
    assert series.x == pytest.approx([2, 3, 4])
    assert series.y == pytest.approx([0.2, 0.3, 0.4])
    assert series.n == [8, 8, 8]
    assert chart.alert == ""


def test_over_optimisation_is_said() -> None:
    rows = [
        {"iteration": t, "model": "policy", "benchmark": benchmark, "metric": metric, "value": value}
        for benchmark, metric, values in [
            ("proxy", "mean_reward_base", (1.0, 2.0, 3.0)),
            ("alpaca_eval", "lc_win_rate", (40, 50, 45)),
        ]
        for t, value in enumerate(values)
    ]
    (chart,) = over_optimisation.from_metrics(rows)
    assert chart.series[0].y == [40, 50, 45]
    assert chart.alert == "proxy r₀: gold fell while the proxy rose at iteration 2"
    assert over_optimisation.from_metrics(rows[:3]) == []
    for row in rows:
        row |= {"low": row["value"] - 3, "high": row["value"] + 3}
    (chart,) = over_optimisation.from_metrics(rows)
    assert chart.alert.endswith("iteration 2 (within the intervals)"), "the fall is 5, the intervals reach 3 either way"


def test_families_of_metrics_share_a_chart(run: Run) -> None:
    chart = by_title(metrics.charts([run], [""]))["Accuracy of rₜ on πₜ's responses, by section"]
    assert [one.name for one in chart.series] == ["chat", "chat hard", "safety", "reasoning"]
    assert (chart.group, chart.better, chart.minor) == ("Reward model: judged by gold", "higher", True)


def test_metrics_that_nobody_declared_have_charts_of_their_own(run: Run) -> None:
    rows = [{**run.metrics[1], "benchmark": "new", "metric": name} for name in ("this", "that", "odd_win_rate")]
    charts = metrics.charts([Run(**{**vars(run), "metrics": rows})], [""])
    assert [(chart.title, chart.better) for chart in charts] == [("Odd win rate", "higher"), ("This", ""), ("That", "")]


def test_a_choice_worse_than_chance_is_said(run: Run) -> None:
    rows = [
        {"iteration": t, "model": "reward", "benchmark": "gold", "metric": f"{what}_of_k", "value": value}
        for what, values in [("best", (0.5, 0.3)), ("mean", (0.4, 0.4)), ("oracle", (0.9, 0.9))]
        for t, value in enumerate(values)
    ]
    (chart,) = metrics.charts([Run(**{**vars(run), "metrics": rows})], [""])
    assert [one.name for one in chart.series] == ["chosen by rₜ", "average of the K", "best of the K"]
    assert chart.alert == "The reward model's choice is worse than chance at iteration 1."


def test_a_single_run_keeps_its_own_intervals(run: Run) -> None:
    (series,) = by_title(metrics.charts([run], [""]))["Win rate against π₀, by gold"].series
    assert (series.x, series.y, series.n) == ([0, 1, 2], [0.5, 0.61, 0.68], [500] * 3)
    assert (series.low[2], series.high[2]) == (0.66, 0.70)


def test_seeds_are_averaged_with_students_interval(run: Run) -> None:
    runs = [Run(**{**vars(run), "metrics": fixture.metrics(offset)}) for offset in (0.0, 0.04)]
    chart = by_title(metrics.charts(runs, ["x", "x"]))["Win rate against π₀, by gold"]
    (series,) = chart.series
    assert series.y == pytest.approx([0.52, 0.63, 0.70])
    assert series.n == [2, 2, 2]
    half = 12.7062047 * (0.04 / math.sqrt(2)) / math.sqrt(2)
    assert series.low[0] == pytest.approx(0.52 - half, abs=1e-5)


def test_variants_are_never_averaged(run: Run) -> None:
    runs = [Run(**{**vars(run), "metrics": fixture.metrics(offset)}) for offset in (0.0, 0.04)]
    chart = by_title(metrics.charts(runs, ["a", "b"]))["Win rate against π₀, by gold"]
    assert [(one.name, one.y[0]) for one in chart.series] == [("a", 0.5), ("b", 0.54)]


def test_the_results_table_says_only_what_intervals_allow(run: Run) -> None:
    rows = {row.title: row for _, rows in metrics.results(run).groups for row in rows}
    rate, accuracy = rows["Win rate against π₀, by gold"], rows["Accuracy of rₜ on πₜ's responses"]
    assert [(cell.value, cell.interval, cell.n) for cell in rate.cells if cell][-1] == (
        "68.0%",
        "[66.0, 70.0]",
        "500",
    )
    assert (rate.change, rate.verdict) == ("+18.0 points", "better")
    assert (accuracy.change, accuracy.verdict) == ("+2.0 points", "")  # the intervals overlap


def test_training_curves_are_those_of_the_stages(stages: Stages) -> None:
    loss = next(c for c in training.charts(stages) if (c.title, c.group) == ("Loss", "Train policy"))
    assert [one.name for one in loss.series] == ["iteration 1 · E-step", "iteration 2 · E-step"]
    assert list(loss.series[0].x) == list(range(1, 41))
    assert loss.series[0].y[9] == pytest.approx(0.69 * math.exp(-1 / 3), abs=1e-5)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    steps, values = training.thin(list(range(5000)), list(range(5000)), points=100)
    assert len(steps) == 100 and (steps[0], steps[-1]) == (0, 4999) and steps == values


@pytest.mark.parametrize(("n", "bins"), [(1, 8), (64, 8), (1000, 20), (10**6, 40)])
def test_few_values_get_few_bins(n: int, bins: int) -> None:
    assert distributions.bin_count(n) == bins
