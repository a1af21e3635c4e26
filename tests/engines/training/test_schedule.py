"""The learning rate of every step, by numbers derived by hand and by the steps that a training takes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.engines.training.trainer import rate_factor
from tests.engines.training.conftest import TRAINING, Lab, changed, make_pairs

HALF = math.sqrt(0.5)


def factors(steps: int, **changes: Any) -> list[float]:
    factor = rate_factor(changed(TRAINING, **changes), steps)
    return [factor(done) for done in range(steps)]


@pytest.mark.parametrize(
    ("steps", "changes", "expected"),
    [
        (1, {"schedule": "cosine", "warmup_ratio": 0.1}, [1.0]),
        (1, {"schedule": "linear", "warmup_ratio": 0.9}, [1.0]),
        (2, {"schedule": "cosine", "warmup_ratio": 0.1}, [1 / 2, 1.0]),
        (3, {"schedule": "linear", "warmup_ratio": 0.1}, [1 / 2, 1.0, 1 / 2]),
        (4, {"schedule": "constant", "warmup_ratio": 0.5}, [1 / 3, 2 / 3, 1.0, 1.0]),
        (4, {"schedule": "linear", "warmup_ratio": 0.0}, [1.0, 3 / 4, 2 / 4, 1 / 4]),
        (4, {"schedule": "cosine", "warmup_ratio": 0.0}, [1.0, (1 + HALF) / 2, 1 / 2, (1 - HALF) / 2]),
        (4, {"schedule": "constant", "warmup_ratio": 0.99}, [1 / 4, 2 / 4, 3 / 4, 1.0]),  # n - 1 at most
    ],
)
def test_factors_by_hand(steps: int, changes: dict[str, Any], expected: list[float]) -> None:
    assert factors(steps, **changes) == pytest.approx(expected, abs=1e-12)


def test_ratios_are_meant_as_they_are_written() -> None:
    """0.07 * 100 is 7.000000000000001, which would round up to 8."""
    assert factors(100, schedule="constant", warmup_ratio=0.07)[:8] == pytest.approx([i / 8 for i in range(1, 9)])


@given(
    steps=st.integers(1, 300),
    ratio=st.floats(0, 0.999),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
)
def test_every_step_trains_and_one_at_the_peak(steps: int, ratio: float, schedule: str) -> None:
    found = factors(steps, schedule=schedule, warmup_ratio=ratio)
    assert min(found) > 0
    assert max(found) == 1.0
    peak = found.index(1.0)
    assert peak == min(math.ceil(round(ratio * steps, 9)), steps - 1)
    assert all(one < other for one, other in pairwise(found[: peak + 1]))
    assert all(one >= other for one, other in pairwise(found[peak:]))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_training_takes_its_steps_at_these_rates(lab: Lab, schedule: str) -> None:
    training = changed(TRAINING, schedule=schedule, warmup_ratio=0.3, batch_size=4)
    rates: list[float] = []
    lab.train(
        lab.task(rows=make_pairs(20), training=training),
        lambda step, total, metrics: rates.append(metrics["learning_rate"]),
    )
    expected = factors(5, schedule=schedule, warmup_ratio=0.3)
    assert rates == pytest.approx([TRAINING.learning_rate * factor for factor in expected], rel=1e-12)
