"""Means with their intervals."""

from __future__ import annotations

import pytest

from mt.stages.metrics import mean_metric


def test_the_interval_of_a_share_per_prompt_stays_within_nothing_and_all() -> None:
    # mean 0.75, standard error 0.25, Student's 12.706 for one degree of freedom: 0.75 ± 3.18 without the bounds
    share = mean_metric("gold", "accuracy", [0.5, 1.0])
    assert (share.value, share.low, share.high) == (0.75, 0.0, 1.0)


def test_the_interval_of_a_difference_or_of_a_reward_is_students() -> None:
    reward = mean_metric("gold", "mean_reward", [0.5, 1.0])
    assert (reward.low, reward.high) == pytest.approx((0.75 - 12.7062 * 0.25, 0.75 + 12.7062 * 0.25), abs=1e-4)
    gain = mean_metric("same_responses", "gain_over_base", [0.0, 1.0], difference=True)
    assert gain.low is not None and gain.low < -1
