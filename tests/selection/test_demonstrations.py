import math

import pytest

from mt.errors import DataError
from mt.types import Rewards
from tests.selection.example import row, select_demonstrations

THREE = row([("a", 1), ("b", 2), ("b", 2), ("c", 3)])


def test_best_of_k_by_hand() -> None:
    selection = select_demonstrations("best_of_k", [THREE], [Rewards("p0", [0, 1, 1, 1])])
    assert [(one.response.text, one.weight) for one in selection.rows] == [("b", 1.0)]
    assert selection.counts == {"prompts": 1, "kept": 1, "duplicate_responses": 1}


def test_reward_weights_by_hand() -> None:
    # softmax of (log 1, log 2, log 5) = 1/8, 2/8, 5/8, times 3
    rewards = [Rewards("p0", [0, math.log(2), math.log(2), math.log(5)])]
    selection = select_demonstrations("reward_weighted", [THREE], rewards, temperature=1.0)
    assert [one.response.text for one in selection.rows] == ["a", "b", "c"]
    assert [one.weight for one in selection.rows] == pytest.approx([3 / 8, 6 / 8, 15 / 8])


def test_the_ends_of_the_temperature() -> None:
    rewards = [Rewards("p0", [0, 1, 1, 700])]
    cold = select_demonstrations("reward_weighted", [THREE], rewards, temperature=1e-3)
    assert [one.weight for one in cold.rows] == pytest.approx([0, 0, 3])
    hot = select_demonstrations("reward_weighted", [THREE], rewards, temperature=1e9)
    assert [one.weight for one in hot.rows] == pytest.approx([1, 1, 1], abs=1e-5)


@pytest.mark.parametrize(("rule", "settings"), [("best_of_k", {}), ("reward_weighted", {"temperature": 1.0})])
def test_rewards_that_are_not_finite_are_refused(rule: str, settings: dict[str, float]) -> None:
    with pytest.raises(DataError, match="rewards of prompt p0=nan"):
        select_demonstrations(rule, [THREE], [Rewards("p0", [0, 1, math.nan, 1])], **settings)
