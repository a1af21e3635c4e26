"""Evaluation by gold rewards that are written by hand, and by the world's own judge."""

from __future__ import annotations

import json
import math

import pytest

from mt.gold import PeopleConfig
from mt.instructions.settings import InstructionLanguage
from mt.stages.evaluate_diagnostics import RELIABILITY, RewardCalibration
from mt.stages.evaluate_gold import GoldPolicyMetrics, GoldRewardMetrics, LabelAccuracy, RewardComparison
from mt.stages.evaluate_without_gold import ProxyReward
from mt.stages.gold import GoldLabels, PeoplesLabels
from mt.stages.instructions import BestOverWorst
from mt.types import Pair, Rewards, Samples
from mt.workflow.work import read_metrics
from mt.world.gold import gold
from mt.world.prompts import prompts
from mt.world.world import build_world
from tests.stages.bench import Bench, Given, given, pair, samples, world

LANGUAGE = world().language


def rewards(*rows: tuple[float, ...]) -> Given:
    return given(*(Rewards(name, list(row)) for name, row in zip("abc", rows, strict=False)))


def table() -> Given:
    return given(samples("a", "one two", "one", section="Chat"), samples("b", "one", "one", section="Chat Hard"))


def test_the_base_policy_against_itself_wins_half(bench: Bench) -> None:
    own = rewards((0.0, 1.0), (0.5, 0.5))
    assert bench.metrics(GoldPolicyMetrics(table(), own, own))["gold/win_rate"] == 0.5


def test_every_response_meets_every_response_of_the_base_policy(bench: Bench) -> None:
    metrics = bench.metrics(
        GoldPolicyMetrics(table(), rewards((0.9, 0.2), (0.5, 0.5)), rewards((0.2, 0.1), (0.5, 0.6)))
    )
    # a: .9 beats both, .2 ties one and beats one → 3.5/4; b: two ties → 1/4.
    assert metrics["gold/win_rate"] == pytest.approx((3.5 / 4 + 1 / 4) / 2)
    assert metrics["gold/mean_reward"] == pytest.approx((0.55 + 0.5) / 2)
    assert metrics["gold/length"] == pytest.approx((1.5 + 1) / 2)
    assert metrics["gold/mean_reward_chat_hard"] == pytest.approx(0.5)


def test_a_reward_models_order_is_compared_with_golds_where_gold_tells_apart(bench: Bench) -> None:
    margin = LANGUAGE.gold_margin
    gold_rewards = rewards((0.9, 0.1), (0.5, 0.5 + margin / 2))
    right = bench.metrics(GoldRewardMetrics(table(), gold_rewards, rewards((3.0, -3.0), (9.0, 1.0)), margin, "gold"))
    assert right["gold/accuracy"] == 1.0, "the second prompt's responses are equal by gold"
    assert right["gold/best_of_k"] == pytest.approx((0.9 + 0.5) / 2)
    assert right["gold/oracle_of_k"] == pytest.approx((0.9 + 0.5 + margin / 2) / 2)
    wrong = bench.metrics(GoldRewardMetrics(table(), gold_rewards, rewards((0.0, 1.0), (0.0, 1.0)), margin, "gold"))
    assert wrong["gold/accuracy"] == 0.0
    tied = bench.metrics(GoldRewardMetrics(table(), gold_rewards, rewards((1.0, 1.0), (0.0, 1.0)), margin, "gold"))
    assert tied["gold/accuracy"] == 0.5


def contested() -> tuple[str, str, str]:
    """A prompt of the world with a good and a bad answer."""
    built = build_world(0, LANGUAGE)
    row = next(row for row in prompts(built, "eval", 50) if row.section == "Reasoning")
    words = [str(i) for i in range(10)]
    asked = row.messages[-1]["content"]
    good = max(
        (" ".join(words[i:j]) for i in range(9) for j in range(i + 1, 10)), key=lambda t: gold(built, row.messages, t)
    )
    assert gold(built, row.messages, good) > 0.3
    return asked, good, "fox"


def test_labels_are_right_where_gold_agrees_and_judge_pairs_are_no_labels(bench: Bench) -> None:
    asked, good, bad = contested()
    pairs = given(
        pair("a", good, bad, asked),
        pair("b", bad, good, asked),
        pair("c", good, bad, asked),
        pair("d", bad, "owl", asked),
        pair("e", "good score 4", "poor score 1", f"judge {asked} answer {good}", source="judge"),
    )
    accuracy, count = read_metrics(bench.run(LabelAccuracy(pairs, 0, LANGUAGE, "selected")))
    assert (accuracy.metric, accuracy.value) == ("selected_accuracy", pytest.approx(2 / 3))
    assert (accuracy.n, accuracy.low) == (1, None), "all answer one prompt, whatever a file calls its pairs"
    assert (count.metric, count.value) == ("selected_pairs", 4)


def test_gold_labels_turn_wrong_pairs_round_and_drop_equal_ones(bench: Bench) -> None:
    asked, good, bad = contested()
    stage = GoldLabels(
        given(pair("a", good, bad, asked), pair("b", bad, good, asked), pair("c", bad, "owl", asked)), 0, LANGUAGE
    )
    assert [(row.prompt_id, row.chosen.text) for row in bench.rows(stage, Pair)] == [("a", good), ("b", good)]
    assert bench.counts(stage) == {"pairs": 2, "turned": 1, "dropped_equal": 1}


def test_proxy_rewards_are_named_after_their_reward_model(bench: Bench) -> None:
    scores = (table(), rewards((3.0, 1.0), (0.0, 0.0)), rewards((0.0, 2.0), (0.0, 0.0)))
    base, current = bench.metrics(ProxyReward(*scores, "base")), bench.metrics(ProxyReward(*scores, "current"))
    assert base["proxy/mean_reward_base"] == 1.0 and base["proxy/win_rate_base"] == current["proxy/win_rate"]
    assert base["proxy/win_rate_base"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert base["proxy/length"] == pytest.approx((5 + 3) / 2), "in characters, each prompt's mean: (7 + 3)/2 and 3"
    assert set(current) == {"proxy/win_rate"}, "rewards of another model have another scale"


def test_two_reward_models_meet_on_the_same_responses(bench: Bench) -> None:
    margin = LANGUAGE.gold_margin
    by_gold = rewards((0.9, 0.5, 0.1), (0.2, 0.6), (0.5, 0.5))
    now, before = rewards((3.0, 2.0, 1.0), (5.0, 1.0), (1.0, 0.0)), rewards((1.0, 2.0, 3.0), (0.0, 1.0), (0.0, 1.0))
    stage = RewardComparison(now, before, "base", by_gold, margin)
    found = {metric.metric: metric for metric in read_metrics(bench.run(stage))}
    # By prompt, r_t is right in 3/3 and 0/1 pairs, r_0 in 0/3 and 1/1; the third prompt's responses are equal by gold.
    assert found["accuracy_base"].value == 0.5 and found["gain_over_base"].value == 0.0
    # Differences +1 and -1: their standard error is 1, Student's 97.5% point with one degree of freedom is 12.706.
    assert (found["gain_over_base"].low, found["gain_over_base"].n) == (pytest.approx(-12.706, abs=1e-3), 2)
    assert found["agreement_base"].value == 0.0 and found["same_best_base"].value == 0.0
    # r_0 chooses .1 of (.9, .5, .1), .6 of (.2, .6) and .5 of (.5, .5).
    assert found["choice_gain_base"].value == pytest.approx(((0.1 - 0.5) + (0.6 - 0.4) + 0.0) / 3)
    items = json.loads((bench.run(stage) / "items.json").read_text())
    assert items["gain_over_base"] == {"a": 1.0, "b": -1.0}


def test_without_gold_two_reward_models_are_compared_by_their_agreement(bench: Bench) -> None:
    own, turned = rewards((1.0, 2.0), (3.0, 1.0)), rewards((2.0, 1.0), (3.0, 1.0))
    same = bench.metrics(RewardComparison(own, own, "previous", None, None))
    assert same == {"same_responses/agreement_previous": 1.0, "same_responses/same_best_previous": 1.0}
    other = bench.metrics(RewardComparison(own, turned, "previous", None, None))
    assert other["same_responses/agreement_previous"] == 0.5


def test_a_metric_is_the_mean_of_its_items(bench: Bench) -> None:
    stage = GoldPolicyMetrics(table(), rewards((0.9, 0.2), (0.5, 0.5)), rewards((0.2, 0.1), (0.5, 0.6)))
    metrics, items = bench.metrics(stage), json.loads((bench.run(stage) / "items.json").read_text())
    assert items["win_rate"] == {"a": 3.5 / 4, "b": 1 / 4}
    assert {f"gold/{name}": sum(by.values()) / len(by) for name, by in items.items()} == pytest.approx(metrics)


def test_calibration_needs_pairs_that_gold_tells_apart(bench: Bench) -> None:
    sure = RewardCalibration(rewards((0.9, 0.1), (0.1, 0.9)), rewards((50.0, 0.0), (0.0, 50.0)), LANGUAGE)
    metrics = bench.metrics(sure)
    assert metrics["diagnostics/calibration_error"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["diagnostics/brier_score"] == pytest.approx(0.0, abs=1e-9)
    assert (bench.run(sure) / RELIABILITY).is_file()
    assert bench.metrics(RewardCalibration(rewards((0.5, 0.5)), rewards((1.0, 0.0)), LANGUAGE)) == {}
    assert any("calibration cannot be computed" in text for text in bench.notes.texts)


def test_people_like_length_and_err_sometimes(bench: Bench) -> None:
    people = PeopleConfig(floor=0.1, length_weight=0.05, temperature=0.1)
    rows = [samples(f"p{number}", "short", "a much longer answer than that", asked="next 5") for number in range(400)]
    pairs = bench.rows(PeoplesLabels(given(*rows), 0, LANGUAGE, people, 3, label_seed=1), Pair)
    assert len(pairs) == 400, "two different responses make one pair"
    longer = sum(pair.chosen.n_tokens > pair.rejected.n_tokens for pair in pairs) / 400
    # Neither says the right number: gold is 0 for both, and five more words count 0.25 in gold.
    assert longer == pytest.approx(0.1 + 0.8 / (1 + math.exp(-0.25 / 0.1)), abs=0.05)
    assert bench.rows(PeoplesLabels(given(samples("a", "same", "same")), 0, LANGUAGE, people, 3, 1), Pair) == []


def test_the_best_response_stands_over_the_worst_where_gold_tells_them_apart(bench: Bench) -> None:
    asked = "Describe bees. Use exactly 6 words. Do not use any commas."
    rows = given(
        samples("exactly/1", "bees, and more", "Bees live in a busy hive.", "bees fly high", asked=asked),
        samples("exactly/2", "bees fly", "bees hum", asked=asked),
    )
    language = InstructionLanguage(checks=1, three_demands=0.3, flawed=0.25, gold_margin=0.05)
    (row,) = bench.rows(BestOverWorst(rows, 0, language), Samples)
    assert row.prompt_id == "exactly/1"
    assert [one.text for one in row.responses] == ["Bees live in a busy hive.", "bees, and more"]
