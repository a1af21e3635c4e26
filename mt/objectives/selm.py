"""Self-exploring language models (Zhang et al. 2024b)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mt.objectives.batch import PairLogps
from mt.objectives.exploration import ExploringDpo

if TYPE_CHECKING:
    from torch import Tensor


class Selm(ExploringDpo):
    """Self-exploring language models: DPO with an exploration bonus (Zhang et al. 2024b)."""

    def bonus(self, pairs: PairLogps) -> Tensor:
        """Return αβ log π_θ(y)/π_ref(y), y a response of the reference (§4, as the authors' trainer computes it)."""
        chosen_B, rejected_B = pairs.log_ratios()
        return self.alpha * self.beta * (chosen_B + rejected_B) / 2
