"""Metrics are known by their names, kinds name their members, numbers are written one way, and nothing is left out."""

from __future__ import annotations

import re

import pytest

from mt.evaluation.catalogue import CATALOGUE, heading, quantity, rank
from mt.evaluation.formats import COUNT, GAIN, NUMBER, PERCENT, SHARE, Format


@pytest.mark.parametrize(
    ("benchmark", "metric", "called", "better"),
    [
        ("gold", "win_rate", "Win rate against π₀, by gold", "higher"),
        ("gold", "mean_reward_chat_hard", "Average gold reward, by section: chat hard", "higher"),
        ("gold", "mean_of_k", "Average gold reward of the K responses", ""),
        ("proxy", "mean_reward_base", "Average reward by r₀", ""),
        ("labels", "self_training_accuracy", "Self-training pairs that gold orders the same way", "higher"),
        ("alpaca_eval", "lc_win_rate", "AlpacaEval LC win rate", "higher"),
        ("pairwise", "win_rate_vs_0", "Win rate against an earlier iteration, by r₀: vs 0", "higher"),
        ("diagnostics", "duplicate_rate", "Responses that repeat another", "lower"),
        ("diagnostics", "distinct_2", "Distinct-2", ""),
        ("same_responses", "agreement_previous", "Agreement of rₜ with rₜ₋₁", ""),
        ("reward_bench", "recipes", "RewardBench accuracy, by section: recipes", "higher"),
        ("reward_bench", "ties", "Ties", "lower"),
        ("reward_bench_2", "focus", "RewardBench 2 accuracy, by subset: focus", "higher"),
        ("reward_bench_2", "ties", "Ties", "lower"),
        ("somebody_elses", "new_thing", "New thing", ""),
        ("somebody_elses", "odd_accuracy", "Odd accuracy", "higher"),
    ],
)
def test_a_metric_is_known_by_its_name(benchmark: str, metric: str, called: str, better: str) -> None:
    found = quantity(benchmark, metric)
    assert (found.title, found.better) == (called, better)


def test_every_entry_is_complete_and_the_first_of_its_name() -> None:
    for number, one in enumerate(CATALOGUE):
        assert one.title and one.unit and one.meaning.endswith(".") and re.compile(one.metric).groups <= 1
        assert one.key not in {other.key for other in CATALOGUE[:number]}


def test_headlines_come_before_breakdowns() -> None:
    assert rank("gold", "win_rate") < rank("gold", "mean_reward_chat") < rank("nobody", "knows")
    assert rank("nobody", "odd_accuracy") == len(CATALOGUE)
    assert heading("policy", "alpaca_eval") == "Policy: AlpacaEval 2" and heading("x", "new_one") == "x: new one"


@pytest.mark.parametrize(
    ("form", "value", "text", "difference"),
    [
        (SHARE, 0.684, "68.4%", "+68.4 points"),
        (SHARE, -0.018, "−1.8%", "−1.8 points"),
        (SHARE, -0.0001, "0.0%", "0.0 points"),
        (PERCENT, 58.55, "58.5%", "+58.5 points"),
        (NUMBER, -0.1234, "−0.123", "−0.123"),
        (NUMBER, 1234.567, "1,234.6", "+1,234.6"),
        (COUNT, 1500.0, "1,500", "+1,500"),
        (NUMBER, float("nan"), "nan", "nan"),
    ],
)
def test_a_number_is_written_in_its_unit(form: Format, value: float, text: str, difference: str) -> None:
    assert (form.text(value), form.difference(value)) == (text, difference)


def test_an_interval_is_written_without_its_unit() -> None:
    assert SHARE.interval(-0.030, 0.012) == "[−3.0, 1.2]" and SHARE.interval(None, None) == ""


def test_an_interval_ends_where_its_values_do() -> None:
    bounds = {SHARE: [0.0, 1.0], GAIN: [-1.0, 1.0], PERCENT: [0.0, 7.0], NUMBER: [-3.0, 7.0]}
    assert {form: [form.bounded(side) for side in (-3.0, 7.0)] for form in bounds} == bounds
    assert SHARE.bounded(0.4) == 0.4
