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
    """Return one preference a prompt: 2 for a win, 1 for a loss, 1.5 for a tie, None where an order is missing.

    Each order is won, lost or tied by the side of 1.5 that its preference lies on. A prompt is won where the orders win
    more often than they lose, so orders that disagree are a tie: a judge that follows the position decides nothing.
    `judged` holds (prompt_id, preference of the model in [1, 2]), once for each order in which the prompt was judged.
    """
    by_prompt: dict[str, list[float | None]] = {}
    for prompt_id, preference in judged:
        by_prompt.setdefault(prompt_id, []).append(preference)
    return {prompt_id: _verdict(values) for prompt_id, values in by_prompt.items()}


def _verdict(preferences: Sequence[float | None]) -> float | None:
    """Return 1, 1.5 or 2 by how many orders are won and lost; None where one is missing."""
    known = [value for value in preferences if value is not None]
    if len(known) < len(preferences):
        return None
    balance = sum((value > 1.5) - (value < 1.5) for value in known)
    return 1.5 + ((balance > 0) - (balance < 0)) / 2


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
