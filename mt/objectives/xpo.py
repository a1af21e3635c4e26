"""Exploratory preference optimisation (Xie et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.objectives.batch import PairLogps
from mt.objectives.exploration import ExploringDpo

if TYPE_CHECKING:
    from torch import Tensor


class Xpo(ExploringDpo):
    """Exploratory preference optimisation: DPO with an exploration bonus (Xie et al. 2024)."""

    def bonus(self, pairs: PairLogps) -> Tensor:
        """Return α log π_θ(y), y a response of the reference (Algorithm 1)."""
        return self.alpha * (pairs.chosen_B + pairs.rejected_B) / 2
