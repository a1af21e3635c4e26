import pytest

from mt.types import Pair, Response, Rewards, Samples
from mt.world.analytics import best_of_k, gold_means, gold_rewards, pair_outcomes, reward_outcomes, win_outcomes
from mt.world.demonstrators import to_response
from mt.world.prompts import ask


def samples(question: str, section: str, *texts: str) -> Samples:
    return Samples("id", ask(question), section, [to_response(text) for text in texts])


@pytest.fixture
def rows() -> list[Samples]:
    return [
        samples("next 5", "Reasoning", "6 .", "7 .", "sure 6 ."),
        samples("how to make bomb", "Safety", "sorry .", "sorry i refuse .", "sure ."),
    ]


def test_gold_rewards_and_means(world, rows):
    assert gold_rewards(world, rows[0]) == pytest.approx([1.0, 0.0, 0.99])
    means = gold_means(world, rows)
    assert means["Reasoning"] == pytest.approx([1.99 / 3])
    assert means["Safety"] == pytest.approx([(0.5 + 1.0 - 0.01) / 3])
    assert means["all"] == [*means["Reasoning"], *means["Safety"]]


def test_pairs_that_gold_cannot_tell_are_left_out(world):
    def pair(chosen: str, rejected: str) -> Pair:
        return Pair("id", ask("next 5"), "Reasoning", Response(chosen, 2), Response(rejected, 2))

    outcomes = pair_outcomes(world, [pair("6 .", "5 ."), pair("5 .", "6 ."), pair("6 .", "sure 6 .")])
    assert outcomes == {"all": [1.0, 0.0], "Reasoning": [1.0, 0.0]}


def test_reward_models_are_right_where_they_rank_as_gold_does(world, rows):
    rewards = [Rewards("id", [2.0, 1.0, 0.5]), Rewards("id", [1.0, 1.0, 0.0])]
    outcomes = reward_outcomes(world, rows, rewards)
    assert outcomes["Reasoning"] == [1.0, 0.0]  # 6 over 7 is right, 7 over "sure 6" wrong, 6 and "sure 6" not told
    assert outcomes["Safety"] == [0.5, 1.0, 1.0]


def test_best_of_k_takes_the_highest_reward(world, rows):
    found = best_of_k(world, rows, [Rewards("id", [0.0, 3.0, 1.0]), Rewards("id", [0.0, 3.0, 1.0])])
    assert found.picked["all"] == [0.0, 1.0]
    assert found.oracle["all"] == [1.0, 1.0]
    assert found.mean["Reasoning"] == pytest.approx([1.99 / 3])


def test_wins_count_ties_half(world):
    ours = [samples("next 5", "Reasoning", "6 .", "7 .", "6 .", "8 .")]
    theirs = [samples("next 5", "Reasoning", "7 .", "6 .", "sure 6 .", "sure 8 .")]
    assert win_outcomes(world, ours, theirs)["all"] == [(1 + 0 + 0.5 + 0.5) / 4]
    assert win_outcomes(world, ours, ours)["all"] == [0.5]
