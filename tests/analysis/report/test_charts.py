"""Every chart holds exact numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.report import calibration, distributions, metrics, questions, training
from analysis.report.charts import Chart, agreeing
from analysis.report.record import Run, StageRow
from analysis.report.sets import SampleSet, benchmark_sets, sample_sets
from analysis.report.tables import StoredTable
from tests.analysis.report import fixture

Stages = dict[str, StageRow]
UNKNOWN = dict.fromkeys(("low", "high", "n"))


@pytest.fixture(scope="module")
def sets(stages: Stages, found: dict[str, StoredTable]) -> list[SampleSet]:
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
    assert series.name == "r₀", "accuracy and calibration error stand among the metrics, weighted by prompt"
    assert all(low <= y <= high for low, y, high in zip(series.low, series.y, series.high, strict=True))


def test_pairs_that_gold_hardly_tells_apart_do_not_count(sets: list[SampleSet]) -> None:
    chart = by_title(calibration.charts(sets, [], gold_margin=0.15))["Calibration on samples of π₀"]
    assert sum(chart.series[0].n) == 6 * 8


def test_held_out_pairs_need_no_gold(stages: Stages, found: dict[str, StoredTable]) -> None:
    (chart,) = calibration.charts([], benchmark_sets(stages, found))
    assert chart.title == "Calibration on held-out pairs"
    assert (chart.series[0].n, chart.series[0].y) == ([4], [0.0])  # the fixture's r₀ prefers the second response


@pytest.mark.parametrize(("fall", "warns"), [(0.1, True), (0.02, False)])
def test_over_optimisation_is_said_where_both_intervals_tell(run: Run, fall: float, warns: bool) -> None:
    measured = [("proxy", "mean_reward_base", (1.0, 2.0)), ("gold", "mean_reward", (0.8, 0.8 - fall))]
    rows = [
        {"iteration": t, "model": "policy", "benchmark": name, "metric": metric, "value": value,
         "low": value - 0.03, "high": value + 0.03, "n": 9}
        for name, metric, values in measured
        for t, value in enumerate(values)
    ]  # fmt: skip
    # Half-widths of 0.03 add as squares where the values of single prompts are unknown: 0.042.
    changes = "average reward by r₀ +1.000 [0.958, 1.042], by gold −0.100 [−0.142, −0.058]"
    found = questions.remarks(replace(run, metrics=rows))
    assert found == ([(f"Iteration 1: over-optimised, {changes}.", True)] if warns else [])


def asked(runs: list[Run], variants: list[str]) -> list[Chart]:
    policy, reward, labels = questions.charts(runs, variants)
    return [policy, reward, labels]


def test_there_is_one_chart_a_question(run: Run) -> None:
    policy, reward, labels = asked([run], [""])
    assert [(one.name, one.x, one.y) for one in policy.series] == [
        ("against π₀, by gold", [0, 1, 2], [0.5, 0.61, 0.68]),
        ("against π₀, by r₀ (a proxy)", [0, 1, 2], pytest.approx([0.6, 0.71, 0.78])),
    ]
    assert [(one.name, one.x, one.y) for one in reward.series] == [
        ("r₀", [1, 2], [0.79, 0.79]), ("rₜ₋₁", [1, 2], [0.795, 0.795]), ("rₜ", [0, 1, 2], [0.8, 0.81, 0.82]),
    ]  # fmt: skip
    assert not reward.joined, "responses change with the iteration: a line would compare them"
    assert [one.name for one in labels.series] == ["selected for the policy", "contrast"]
    assert (policy.neutral, reward.neutral, labels.neutral) == (0.5, 0.5, 0.5)


def test_win_rates_in_percent_stand_on_the_same_axis(run: Run) -> None:
    row = {"iteration": 1, "model": "policy", "benchmark": "alpaca_eval", "metric": "lc_win_rate"}
    rows = [*run.metrics, {**row, "value": 52.0, "low": 50.0, "high": 54.0, "n": 9}]
    policy, *_ = asked([replace(run, metrics=rows)], [""])
    (line,) = [one for one in policy.series if one.name == "against AlpacaEval's baseline"]
    assert (line.y, line.low, line.high, line.n) == ([0.52], [0.5], [0.54], [9])


def test_seeds_are_averaged_with_students_interval(run: Run) -> None:
    runs = [
        replace(run, metrics=fixture.metrics(offset), record={"config": {**run.config, "seed": seed}})
        for seed, offset in enumerate((0.0, 0.04))
    ]
    series, _ = asked([*runs, runs[1]], ["x", "x", "x"])[0].series  # one lies there twice, and counts once
    assert series.y == pytest.approx([0.52, 0.63, 0.70])
    assert series.n == [2, 2, 2]
    half = 12.7062047 * (0.04 / math.sqrt(2)) / math.sqrt(2)
    assert series.low[0] == pytest.approx(0.52 - half, abs=1e-5)


def test_variants_are_never_averaged(run: Run) -> None:
    runs = [replace(run, metrics=fixture.metrics(offset)) for offset in (0.0, 0.04)]
    policy, reward, _ = asked(runs, ["a", "b"])
    assert [(one.name, one.y[0], one.hue, one.dashed) for one in policy.series] == [
        ("a", 0.5, 0, False), ("a: against π₀, by r₀ (a proxy)", 0.6, 0, True),
        ("b", 0.54, 1, False), ("b: against π₀, by r₀ (a proxy)", 0.64, 1, True),
    ]  # fmt: skip
    assert [(one.name, one.y) for one in reward.series] == [("a", [0.02, 0.03]), ("b", [0.02, 0.03])]
    assert (reward.y.title, reward.neutral) == ("accuracy, rₜ − r₀", 0.0)


def test_axes_of_one_metric_agree(run: Run) -> None:
    one, other = asked([run], [""])[0], asked([replace(run, metrics=fixture.metrics(0.2))], [""])[0]
    first, second = agreeing([one, other])
    # From 50% (neutral) less 2 points to 98% plus 2 points, and 8% of that width on either side.
    assert first.y.range == second.y.range == pytest.approx((0.48 - 0.0416, 1.0 + 0.0416))


@pytest.mark.parametrize(
    ("value", "said", "warns"),
    [
        (0.05, "0.050: length hardly matters to it.", False),
        (0.25, "0.250: it somewhat prefers longer responses, which teaches the policy to write longer ones.", False),
        (-0.4, "−0.400: it strongly prefers shorter responses, which teaches the policy to write shorter ones.", True),
    ],
)
def test_the_correlation_of_reward_with_length_is_commented(run: Run, value: float, said: str, warns: bool) -> None:
    row = {"iteration": 2, "model": "policy", "benchmark": "diagnostics", "metric": "length_correlation", **UNKNOWN}
    ((text, warning),) = questions.remarks(replace(run, metrics=[{**row, "value": value}]))
    assert text.endswith(f"correlate by {said}") and warning == warns
    ((text, warning),) = questions.remarks(
        replace(run, metrics=[{**row, "value": value}, {**row, "iteration": 0, "value": 0.5}])
    )
    assert " (r₀ on π₀'s responses: 0.500): " in text and not warning, "no worse than it was at first"


@pytest.mark.parametrize(("high", "warns"), [(-0.01, True), (0.02, False)])
def test_a_choice_worse_than_chance_is_said_where_its_interval_tells(run: Run, high: float, warns: bool) -> None:
    row = {"iteration": 2, "model": "reward", "benchmark": "gold", "metric": "choice_gain", **UNKNOWN}
    base = {**row, "benchmark": "same_responses", "metric": "choice_gain_base", "value": 0.02}
    text = (
        "Of several responses to a prompt, the one that the reward model rewards most is worse than a random one, in "
        "gold reward: iteration 2"
    )
    fix = "Do not choose answers by it; see whether the policy is better with rm_data=frozen"
    found = questions.remarks(replace(run, metrics=[{**row, "value": -0.05, "low": -0.09, "high": high}, base]))
    assert found == ([(f"{text} −0.050 [−0.090, −0.010] (r₀ +0.020). {fix}.", True)] if warns else [])


def test_changes_in_the_results_table_have_intervals(run: Run) -> None:
    rows = {row.title: row for _, rows in metrics.results(run).groups for row in rows}
    rate, accuracy = rows["Win rate against π₀, by gold"], rows["Accuracy of rₜ on πₜ's responses"]
    last = rate.cells[-1]
    assert last is not None and (last.value, last.interval, last.n) == ("68.0%", "[66.0, 70.0]", "500")
    # Without the values of single prompts the half-widths of 2 points add as squares: 2·√2.
    assert (rate.change, rate.change_interval, rate.verdict) == ("+18.0 points", "[15.2, 20.8]", "better")
    assert (accuracy.change, accuracy.verdict) == ("", ""), "the responses are others at every iteration"
    length = rows["Length in tokens"]
    assert (length.change, length.verdict) == ("+2.0", ""), "no better side"
    assert "Length in characters" not in rows, "one length, not two units of it"


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
