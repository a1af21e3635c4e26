import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.choice import names
from mt.errors import DataError
from mt.selection import PairSelection, distinct, win_probabilities
from mt.types import Response, Rewards
from tests.selection.example import candidates, row, select, select_pairs, texts

SETTINGS: dict[str, dict[str, Any]] = {
    "length_controlled": {},
    "best_worst": {},
    "rejection": {"temperature": 0.5},
    "tiers": {"rho": 0.3},
    "margin": {"margin": 0.5, "max_pairs": 2},
}
RULES = names(PairSelection)
rules = pytest.mark.parametrize("rule", RULES)
FIVE = [("a", 9), ("b", 5), ("c", 7), ("d", 3), ("e", 4)]


# length control -------------------------------------------------------------------------------------------------


def test_length_control_by_hand() -> None:
    # mean 3: above it are a (9 tokens) and b (5); d is shorter, but below the mean; the lowest is c
    selection = select("length_controlled", FIVE, [6, 4, 1, 2, 2])
    assert texts(selection) == [("b", "c")]
    (pair,) = selection.rows
    assert (pair.chosen_reward, pair.rejected_reward, pair.source, pair.weight) == (4, 1, "test", 1.0)


def test_a_reward_equal_to_the_mean_is_not_above_it() -> None:
    assert texts(select("length_controlled", [("a", 9), ("b", 1), ("c", 5)], [3, 2, 1])) == [("a", "c")]


def test_equally_short_responses_are_told_apart_by_reward_and_then_by_order() -> None:
    assert texts(select("length_controlled", [("a", 4), ("b", 4), ("c", 1)], [2, 3, 0])) == [("b", "c")]
    assert texts(select("length_controlled", [("a", 4), ("b", 4), ("c", 1), ("d", 1)], [3, 3, 0, 0])) == [("a", "c")]


def test_length_can_count_characters_and_ties_can_go_by_order() -> None:
    responses = [("aaaa", 1), ("bb", 3), ("c", 2), ("dd", 3)]
    assert texts(select("length_controlled", responses, [3, 3, 0, 4])) == [("aaaa", "c")]
    by_characters = select("length_controlled", responses, [3, 3, 0, 4], shortest_in="characters")
    assert texts(by_characters) == [("dd", "c")]
    by_order = select("length_controlled", responses, [3, 3, 0, 4], shortest_in="characters", ties="order")
    assert texts(by_order) == [("bb", "c")]


def test_rewards_that_differ_in_their_last_bits_still_give_the_higher_over_the_lower() -> None:
    low = 1.7724801555877414  # four of it and the next number have a mean that rounds to below it
    rewards = [low, low, low, low, math.nextafter(low, 2)]
    assert math.fsum(rewards) / 5 < low
    responses = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 9)]
    assert texts(select("length_controlled", responses, rewards)) == [("e", "a")]


@given(candidates)
def test_length_control_keeps_its_promise(rows: list[tuple[int, float]]) -> None:
    rewards = [reward for _, reward in rows]
    selection = select("length_controlled", [(str(i), tokens) for i, (tokens, _) in enumerate(rows)], rewards)
    mean = sum(rewards) / len(rewards)
    for pair in selection.rows:
        assert pair.chosen_reward is not None and pair.chosen_reward > mean
        assert pair.rejected_reward == min(rewards)
        assert pair.chosen.n_tokens == min(tokens for tokens, reward in rows if reward > mean)
    assert len(selection.rows) == (min(rewards) < max(rewards))


# the other rules ------------------------------------------------------------------------------------------------


def test_best_worst_by_hand() -> None:
    assert texts(select("best_worst", FIVE, [6, 4, 1, 2, 1])) == [("a", "c")]


def test_tiers_by_hand() -> None:
    # ρ = 0.25 of the range 0..8: best tier from 6, worst up to 2
    scores = [8, 6, 2, 0, 5]
    assert texts(select("tiers", FIVE, scores, rho=0.25)) == [("b", "c")]  # the shortest best, the longest worst
    assert texts(select("tiers", FIVE, scores, rho=0.0)) == [("a", "d")]


def test_tied_scores_of_a_tier_are_told_apart_by_length() -> None:
    assert texts(select("tiers", FIVE, [5, 5, 1, 1, 3], rho=0.0)) == [("b", "c")]


def test_margin_by_hand() -> None:
    scores = [6, 5.5, 3, 1, 4]
    assert texts(select("margin", FIVE, scores, margin=2.0, max_pairs=9)) == [("a", "d"), ("a", "c"), ("a", "e")]
    assert texts(select("margin", FIVE, scores, margin=2.0, max_pairs=1)) == [("a", "d")]
    none = select("margin", FIVE, scores, margin=6.0, max_pairs=1)
    assert not none.rows and none.counts["dropped_no_pair"] == 1


def test_rejection_sampling_has_the_probabilities_of_its_algorithm() -> None:
    # Accepted in the first round with 1, ½, ¼. The best is always in; the second is too with ½; if it is not, the
    # third joins with ½·¼; else the second is the best that is left and joins for sure: ½ + ½·¾ = 7/8.
    temperature = 0.5
    rewards = [0, -temperature * math.log(2), -temperature * math.log(4)]
    seen = Counter(
        texts(select("rejection", FIVE[:3], rewards, seed=seed, temperature=temperature))[0] for seed in range(4000)
    )
    assert set(seen) == {("a", "b"), ("a", "c")}
    assert seen["a", "b"] / 4000 == pytest.approx(7 / 8, abs=0.025)  # five standard errors


def test_rejection_sampling_at_the_ends_of_its_temperature() -> None:
    cold = {texts(select("rejection", FIVE, [3, 1, 0, 9, 7], seed=seed, temperature=1e-3))[0] for seed in range(50)}
    assert cold == {("d", "e")}
    hot = {texts(select("rejection", FIVE, [3, 1, 0, 9, 7], seed=seed, temperature=1e9))[0] for seed in range(50)}
    assert hot == {("a", "b")}  # everything is accepted, in the order of sampling
    assert texts(select("rejection", FIVE, [1, 3, 0, 9, 7], temperature=1e9)) == [("b", "a")]


def test_rejection_sampling_has_its_own_chance_for_each_prompt() -> None:
    samples = [row(FIVE, f"p{number}") for number in range(40)]
    rewards = [Rewards(one.prompt_id, [0.0, 0.1, 0.2, 0.3, 0.4]) for one in samples]
    selection = select_pairs("rejection", samples, rewards, seed=0, source="test", score_scale=1.0, temperature=0.5)
    assert len(set(texts(selection))) > 3


# every rule -----------------------------------------------------------------------------------------------------


@rules
@given(rows=candidates, seed=st.integers(0, 9))
def test_the_chosen_reward_is_higher(rule: str, rows: list[tuple[int, float]], seed: int) -> None:
    responses = [(str(i), tokens) for i, (tokens, _) in enumerate(rows)]
    selection = select(rule, responses, [reward for _, reward in rows], seed=seed, **SETTINGS[rule])
    for pair in selection.rows:
        assert pair.chosen_reward is not None and pair.rejected_reward is not None
        assert pair.chosen_reward > pair.rejected_reward
    counts = selection.counts
    dropped = sum(number for name, number in counts.items() if name.startswith("dropped_"))
    assert counts["prompts"] == 1 == (counts["kept"] > 0) + dropped


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "rejection"])
@given(rows=candidates, order=st.randoms(use_true_random=False))
def test_the_order_of_responses_does_not_matter(rule: str, rows: list[tuple[int, float]], order: random.Random) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    found = []
    for version in (rows, shuffled):
        responses = [(str(i), tokens) for i, (tokens, _) in enumerate(version)]
        pairs = select(rule, responses, [reward for _, reward in version], **SETTINGS[rule]).rows
        if rule in ("length_controlled", "tiers"):
            found.append([(pair.chosen.n_tokens, pair.chosen_reward, pair.rejected_reward) for pair in pairs])
        else:
            found.append([(pair.chosen_reward, pair.rejected_reward) for pair in pairs])
    assert found[0] == found[1]


@rules
@given(rows=candidates, shift=st.integers(-50, 50))
def test_only_differences_of_rewards_matter(rule: str, rows: list[tuple[int, float]], shift: int) -> None:
    responses = [(str(i), tokens) for i, (tokens, _) in enumerate(rows)]
    settings = SETTINGS[rule] | ({"rho": 0.25} if rule == "tiers" else {})  # a quarter keeps the bounds exact
    plain = select(rule, responses, [reward for _, reward in rows], **settings)
    shifted = select(rule, responses, [reward + shift for _, reward in rows], **settings)
    assert texts(plain) == texts(shifted)
    assert [pair.chosen_win_probability for pair in plain.rows] == [
        pair.chosen_win_probability for pair in shifted.rows
    ]


@rules
def test_a_prompt_does_not_depend_on_its_neighbours(rule: str) -> None:
    rng = random.Random(0)
    samples = [row(FIVE, f"p{number}") for number in range(20)]
    rewards = [Rewards(one.prompt_id, [rng.gauss(0, 1) for _ in FIVE]) for one in samples]
    facts: dict[str, Any] = {"seed": 3, "source": "test", "score_scale": 1.0, **SETTINGS[rule]}
    whole = select_pairs(rule, samples, rewards, **facts).rows
    assert whole == [pair for i in range(20) for pair in select_pairs(rule, [samples[i]], [rewards[i]], **facts).rows]
    assert whole[::-1] != whole == select_pairs(rule, samples, rewards, **facts).rows


@rules
def test_duplicates_are_dropped_first(rule: str) -> None:
    twice = [("a", 9), ("b", 5), ("a", 9), ("b", 5)]
    selection = select(rule, twice, [2, 1, 2, 1], **SETTINGS[rule])
    assert texts(selection) == [("a", "b")]
    assert selection.counts["duplicate_responses"] == 2


def test_the_first_of_equal_texts_is_kept() -> None:
    assert distinct([Response("a", 1), Response("b", 1), Response("a", 1), Response("A", 1)]) == [0, 1, 3]


@rules
def test_what_gives_no_pair_is_counted(rule: str) -> None:
    same = select(rule, [("a", 1)] * 4, [1, 1, 1, 1], **SETTINGS[rule])
    equal = select(rule, FIVE, [0.1] * 5, **SETTINGS[rule])
    assert not same.rows and same.counts["dropped_too_few_distinct"] == 1
    assert not equal.rows and equal.counts["dropped_equal_rewards"] == 1


@rules
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rewards_that_are_not_finite_are_refused_by_name(rule: str, bad: float) -> None:
    with pytest.raises(DataError, match=f"rewards of prompt p0={bad}: not a finite number"):
        select(rule, FIVE, [1, 2, bad, 3, 4], **SETTINGS[rule])


def test_misaligned_tables_are_refused() -> None:
    facts: dict[str, Any] = {"seed": 0, "source": "test", "score_scale": 1.0}
    with pytest.raises(DataError, match="the prompt has 5 responses"):
        select("best_worst", FIVE, [1, 2])
    with pytest.raises(DataError, match="they belong to another prompt"):
        select_pairs("best_worst", [row(FIVE)], [Rewards("p1", [1.0] * 5)], **facts)
    with pytest.raises(DataError, match="there are 1 prompts with samples"):
        select_pairs("best_worst", [row(FIVE)], [], **facts)


# win probabilities ----------------------------------------------------------------------------------------------


def test_win_probabilities_by_hand() -> None:
    # σ(log 3) = ¾: (½ + ¾)/2 and (½ + ¼)/2; at half the scale σ(½ log 9) is the same
    assert win_probabilities([math.log(3), 0], 1.0) == pytest.approx([0.625, 0.375])
    assert win_probabilities([math.log(9), 0], 0.5) == pytest.approx([0.625, 0.375])


def test_win_probabilities_count_duplicates_as_the_policy_samples_them() -> None:
    # a beats itself with ½ twice and b with ¾: (½ + ½ + ¾)/3
    selection = select("best_worst", [("a", 1), ("a", 1), ("b", 1)], [math.log(3), math.log(3), 0])
    (pair,) = selection.rows
    assert pair.chosen_win_probability == pytest.approx(1.75 / 3)
    assert pair.rejected_win_probability == pytest.approx(1 / 3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=7))
def test_wins_and_losses_cancel(rewards: list[float]) -> None:
    found = win_probabilities(rewards, 1.0)
    assert sum(found) == pytest.approx(len(rewards) / 2)
    assert all(0 <= one <= 1 for one in found)
