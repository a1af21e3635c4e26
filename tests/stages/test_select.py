from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mt.errors import DataError
from mt.selection.best_of_k import BestOfK
from mt.selection.label_filters.confidence import Confidence
from mt.selection.label_filters.deviation import Deviation
from mt.selection.label_filters.margin import Margin
from mt.selection.length_controlled import LengthControlled
from mt.stages.demonstrations import DemonstrationPrompts, SpinPairs
from mt.stages.judge import SelectBestResponse
from mt.stages.select import ConcatenateRows, ContrastPairs, MixPairs, SelectDemonstrations, SelectPairs
from mt.types import Demonstration, Pair, Prompt, Rewards, Samples
from tests.stages.bench import Bench, demonstration, given, pair, samples

RULE = LengthControlled(name="length_controlled", score_scale=1.0)


def texts(rows: list[Pair]) -> list[tuple[str, str, str]]:
    return [(row.prompt_id, row.chosen.text, row.rejected.text) for row in rows]


def test_pairs_follow_the_rule_and_say_what_they_are_for(bench: Bench) -> None:
    table = given(samples("a", "one two three", "four", "five six"), samples("b", "same", "same"))
    rewards = given(Rewards("a", [3.0, 2.0, -4.0]), Rewards("b", [1.0, 1.0]))
    stage = SelectPairs(table, rewards, RULE, "self_training", 0)
    (row,) = bench.rows(stage, Pair)
    assert texts([row]) == [("a", "four", "five six")]
    assert (row.source, row.chosen_reward, row.rejected_reward) == ("self_training", 2.0, -4.0)
    counts = bench.counts(stage)
    assert (counts["prompts"], counts["kept"], counts["dropped_too_few_distinct"]) == (2, 1, 1)


def test_no_pair_at_all_is_an_error_that_says_why(bench: Bench) -> None:
    table, rewards = given(samples("a", "x", "y")), given(Rewards("a", [1.0, 1.0]))
    with pytest.raises(DataError, match=r"pairs=0: no prompt gave any \(prompts 1, .*dropped_equal_rewards 1"):
        bench.run(SelectPairs(table, rewards, RULE, "policy", 0))


def test_demonstrations_are_the_best_responses(bench: Bench) -> None:
    table, rewards = given(samples("a", "x", "y")), given(Rewards("a", [1.0, 2.0]))
    (row,) = bench.rows(SelectDemonstrations(table, rewards, BestOfK(name="best_of_k")), Demonstration)
    assert row.response.text == "y"


def test_best_response_is_the_first_of_equals(bench: Bench) -> None:
    table = given(samples("a", "x", "y", "z"))
    (row,) = bench.rows(SelectBestResponse(table, given(Rewards("a", [1.0, 2.0, 2.0]))), Samples)
    assert [one.text for one in row.responses] == ["y"]


def test_contrast_chooses_the_new_response_and_rejects_the_old(bench: Bench) -> None:
    new = given(samples("a", "new"), samples("b", "same"))
    old = given(samples("b", "same"), samples("a", "old"))
    stage = ContrastPairs(new, old, 0)
    rows = bench.rows(stage, Pair)
    assert texts(rows) == [("a", "new", "old")]
    assert rows[0].source == "contrast"
    assert bench.counts(stage)["dropped_identical"] == 1


WITH_REWARDS = {
    "new": given(samples("a", "new"), samples("b", "new"), samples("c", "new")),
    "old": given(samples("a", "old"), samples("b", "old"), samples("c", "new")),
    "new_rewards": given(Rewards("a", [1.0]), Rewards("b", [0.0]), Rewards("c", [0.0])),
    "old_rewards": given(Rewards("a", [0.0]), Rewards("b", [1.0]), Rewards("c", [0.0])),
}


def test_the_margin_filter_drops_contrast_pairs_whose_gain_the_labeler_does_not_see(bench: Bench) -> None:
    stage = ContrastPairs(seed=0, label_filter=Margin(name="margin", margin=0.0), **WITH_REWARDS)
    assert texts(bench.rows(stage, Pair)) == [("a", "new", "old")]
    wanted = {"prompts": 3, "kept": 1, "agreeing": 1, "dropped_identical": 1, "dropped_small_gain": 1}
    assert bench.counts(stage).items() >= wanted.items()


def test_the_margin_filter_may_leave_no_contrast_pair(bench: Bench) -> None:
    stage = ContrastPairs(seed=0, label_filter=Margin(name="margin", margin=9.0), **WITH_REWARDS)
    assert bench.rows(stage, Pair) == []
    assert bench.counts(stage)["kept"] == 0
    assert bench.notes.texts == ["no contrast pair passed the label filter"]


def test_the_deviation_filter_keeps_pairs_that_are_worse_by_less_than_the_old_rewards_spread(bench: Bench) -> None:
    """Of the old policy's rewards 0, 2, 4 and 6 the mean is 3 and the standard deviation √5 = 2.236."""
    names, table = "abcd", [samples(name, "new") for name in "abcd"]
    old = [samples(name, "old") for name in names]
    gained = {"a": 0.0, "b": -2.2, "c": -2.3, "d": 9.0}
    before = {"a": 0.0, "b": 2.0, "c": 4.0, "d": 6.0}
    new_rewards = given(*(Rewards(name, [before[name] + gained[name]]) for name in names))
    old_rewards = given(*(Rewards(name, [before[name]]) for name in names))
    how = (0, Deviation(name="deviation", deviations=1), new_rewards, old_rewards)
    stage = ContrastPairs(given(*table), given(*old), *how)
    assert [row.prompt_id for row in bench.rows(stage, Pair)] == ["a", "b", "d"]
    assert bench.counts(stage).items() >= {"prompts": 4, "kept": 3, "dropped_clearly_worse": 1}.items()
    twice = replace(stage, label_filter=Deviation(name="deviation", deviations=2))
    assert len(bench.rows(twice, Pair)) == 4


def test_the_deviation_filter_measures_all_responses_of_the_old_policy(bench: Bench) -> None:
    """Rewards of 1 and −1 have a standard deviation of 1, whichever of the two is in the pair."""
    new, old = given(samples("a", "new")), given(samples("a", "old", "older"))
    rewards = given(Rewards("a", [0.0])), given(Rewards("a", [1.0, -1.0]))
    kept = [
        bench.counts(ContrastPairs(new, old, seed, Deviation(name="deviation", deviations=1), *rewards))["kept"]
        for seed in range(8)
    ]
    assert set(kept) == {0, 1}, "Δr is −1, which is not above −ε, or +1"


def test_the_confidence_weight_weighs_contrast_pairs_by_the_labelers_probability(bench: Bench) -> None:
    stage = ContrastPairs(seed=0, label_filter=Confidence(name="confidence", score_scale=1.0), **WITH_REWARDS)
    first, second = bench.rows(stage, Pair)
    assert first.weight / second.weight == pytest.approx(math.e), "σ(1)/σ(−1)"
    assert first.weight + second.weight == pytest.approx(2)


def test_union_puts_tables_one_after_another(bench: Bench) -> None:
    stage = ConcatenateRows((given(pair("a", "x", "y")), given(pair("b", "x", "y"), pair("c", "x", "y"))), "pairs")
    assert [row.prompt_id for row in bench.rows(stage, Pair)] == ["a", "b", "c"]
    assert bench.counts(stage) == {"pairs": 3}
    shown = ConcatenateRows((given(demonstration("a", "x")), given(demonstration("b", "y"))), "demonstrations")
    assert [row.prompt_id for row in bench.rows(shown, Demonstration)] == ["a", "b"]


@pytest.mark.parametrize(("share", "extra"), [(0.0, 0), (0.2, 2), (0.5, 6)])
def test_a_mixture_keeps_all_pairs_and_adds_a_share_of_others(bench: Bench, share: float, extra: int) -> None:
    own = given(*(pair(f"own{i}", "x", "y") for i in range(8)))
    others = given(*(pair(f"other{i}", "x", "y") for i in range(6)))
    stage = MixPairs(own, others, share, 0)
    ids = [row.prompt_id for row in bench.rows(stage, Pair)]
    assert [name for name in ids if name.startswith("own")] == [f"own{i}" for i in range(8)]
    assert len(ids) == len(set(ids)) == 8 + extra
    assert bench.counts(stage)["extra"] == extra


def test_spin_prefers_the_demonstration_and_uses_no_more_prompts_than_asked(bench: Bench) -> None:
    shown = given(demonstration("a", "gold"), demonstration("b", "same"), demonstration("c", "unused"))
    assert [row.prompt_id for row in bench.rows(DemonstrationPrompts(shown, 2), Prompt)] == ["a", "b"]
    own = given(samples("a", "own", "own"), samples("b", "same", "same"))
    stage = SpinPairs(own, shown, 0)
    rows = bench.rows(stage, Pair)
    assert texts(rows) == [("a", "gold", "own")]
    assert rows[0].source == "spin"
    assert bench.counts(stage)["dropped_identical"] == 1
