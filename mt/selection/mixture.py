"""Several rewards of the same responses as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Literal

from mt.errors import DataError, describe
from mt.types import Rewards

Combine = Literal["mean", "min", "lower_bound"]


def mixed_rewards(tables: Sequence[Sequence[Rewards]], weights: Sequence[float]) -> list[Rewards]:
    """Return the weighted sum of several tables of rewards, each scaled by `scaled`.

    Raises DataError for tables that belong to different prompts or responses.
    """

    def total(values: Sequence[float]) -> float:
        return math.fsum(weight * value for weight, value in zip(weights, values, strict=True))

    return _together([scaled(table) for table in tables], total)


def ensemble_rewards(tables: Sequence[Sequence[Rewards]], combine: Combine, k: float) -> list[Rewards]:
    """Return one reward per response from those of several models: their mean, minimum, or mean − k·std over them.

    The standard deviation is the population's (Coste et al. 2023 subtract a multiple of the variance). Raises DataError
    for tables that belong to different prompts or responses.
    """
    rules: dict[Combine, Callable[[Sequence[float]], float]] = {
        "mean": fmean,
        "min": min,
        "lower_bound": lambda values: fmean(values) - k * pstdev(values),
    }
    return _together(tables, rules[combine])


def _together(tables: Sequence[Sequence[Rewards]], rule: Callable[[Sequence[float]], float]) -> list[Rewards]:
    """Apply a rule to the rewards that several tables have of each response."""
    found = []
    for rows in zip(*tables, strict=True):
        first = rows[0]
        if any((row.prompt_id, len(row.rewards)) != (first.prompt_id, len(first.rewards)) for row in rows):
            raise DataError(describe("rewards", first.prompt_id, "the tables are of different responses"))
        columns = zip(*(row.rewards for row in rows), strict=True)
        found.append(Rewards(first.prompt_id, [rule(values) for values in columns]))
    return found


def scaled(table: Sequence[Rewards]) -> list[Rewards]:
    """Return rewards less their prompt's mean, in units of their standard deviation within prompts over the table.

    A Bradley-Terry reward is defined up to a constant per prompt, so that only differences within prompts count.
    Rewards that never differ within a prompt become 0.
    """
    centred = [[reward - math.fsum(row.rewards) / len(row.rewards) for reward in row.rewards] for row in table]
    count = sum(map(len, centred))
    spread = math.sqrt(math.fsum(value**2 for row in centred for value in row) / count) if count else 0.0
    return [
        Rewards(row.prompt_id, [value / spread if spread else 0.0 for value in values])
        for row, values in zip(table, centred, strict=True)
    ]
