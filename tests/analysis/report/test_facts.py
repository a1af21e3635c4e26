"""Metrics are known by their names, families name their lines, and nothing unknown is left out."""

from __future__ import annotations

import re

import pytest

from analysis.report.facts import FACTS, fact, heading, line, rank, title


@pytest.mark.parametrize(
    ("benchmark", "metric", "called", "named", "better"),
    [
        ("gold", "win_rate", "Win rate against the base policy", "", "up"),
        ("gold", "mean_reward_chat_hard", "Gold reward by section", "chat hard", "up"),
        ("gold", "section_average", "Accuracy on held-out pairs, average", "", "up"),
        ("proxy", "mean_reward", "Proxy reward by the reward model in force", "", ""),
        ("labels", "self_training_accuracy", "Pairs that gold orders the same way", "self training", "up"),
        ("alpaca_eval", "lc_win_rate", "Length-controlled win rate", "", "up"),
        ("pairwise", "win_rate_vs_0", "Win rate against earlier iterations", "vs 0", "up"),
        ("diagnostics", "duplicate_rate", "Responses that repeat another", "", "down"),
        ("somebody_elses", "new_thing", "New thing", "", ""),
        ("somebody_elses", "odd_accuracy", "Odd accuracy", "", "up"),
    ],
)
def test_a_metric_is_known_by_its_name(benchmark: str, metric: str, called: str, named: str, better: str) -> None:
    known = fact(benchmark, metric)
    assert (title(known, metric), line(known, metric), known.better) == (called, named, better)


def test_every_fact_can_be_reached() -> None:
    for number, one in enumerate(FACTS):
        assert one.better in ("up", "down", "") and re.compile(one.metric).groups <= 1
        assert (one.benchmark, one.metric) not in {(other.benchmark, other.metric) for other in FACTS[:number]}


def test_headlines_come_before_breakdowns() -> None:
    assert rank("gold", "win_rate") < rank("gold", "mean_reward_chat") < rank("nobody", "knows") == len(FACTS)
    assert heading("policy", "alpaca_eval") == "Policy: AlpacaEval 2" and heading("x", "new_one") == "x: new one"
