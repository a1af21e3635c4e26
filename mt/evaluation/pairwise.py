"""Win, tie and lose of two models on the same prompts, from weighted preferences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mt.errors import DataError
from mt.evaluation.alpaca_eval import discrete_outcomes
from mt.evaluation.statistics import ROUNDS, Interval, SignTest, bootstrap_interval, sign_test


@dataclass(frozen=True, slots=True)
class WinTieLose:
    """Prompts that the model won, tied and lost; `win_rate` is in percent with half of the ties."""

    wins: int
    ties: int
    losses: int
    missing: int
    win_rate: float
    interval: Interval
    sign_test: SignTest

    @property
    def n(self) -> int:
        """Number of judged prompts."""
        return self.wins + self.ties + self.losses

    @property
    def shares(self) -> tuple[float, float, float]:
        """Wins, ties and losses in percent of the judged prompts."""
        return (100 * self.wins / self.n, 100 * self.ties / self.n, 100 * self.losses / self.n)


def merge_orders(judged: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    """Return one preference in [1, 2] a prompt: the mean over its orders, None where one of them is missing.

    `judged` holds (prompt_id, preference of the model), once for each order in which the prompt was judged.
    """
    by_prompt: dict[str, list[float | None]] = {}
    for prompt_id, preference in judged:
        by_prompt.setdefault(prompt_id, []).append(preference)
    return {prompt_id: _mean_or_none(values) for prompt_id, values in by_prompt.items()}


def win_tie_lose(
    preferences_N: Sequence[float | None], *, tie_within: float = 0.0, rounds: int = ROUNDS, seed: int = 0
) -> WinTieLose:
    """Count prompts by preference: a tie lies within `tie_within` of 1.5; None is missing and counted.

    Raises:
        DataError: not one prompt was judged.
    """
    judged = np.array([value for value in preferences_N if value is not None], dtype=float)
    if not len(judged):
        raise DataError(f"preference=null for all of {len(preferences_N)} prompts: nothing was judged.")
    judged[np.abs(judged - 1.5) <= tie_within] = 1.5
    outcomes = discrete_outcomes(judged)
    test = sign_test(outcomes - 0.5)
    return WinTieLose(
        wins=test.wins,
        ties=test.ties,
        losses=test.losses,
        missing=len(preferences_N) - len(judged),
        win_rate=100 * float(outcomes.mean()),
        interval=bootstrap_interval(outcomes, rounds=rounds, seed=seed).scaled(100),
        sign_test=test,
    )


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
