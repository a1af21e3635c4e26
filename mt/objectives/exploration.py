"""DPO with an exploration bonus, what SELM and XPO have in common.

Both lower the likelihood of responses that the reference already gives, so that probability flows to unseen ones.
The papers draw those responses afresh; here they are the pair's own two, which come from the reference whenever
`reference=previous` (our choice: no further sampling; as picked by reward they overweight the best and the worst).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mt.choice import NotNegative, Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps
from mt.objectives.dpo import Dpo

if TYPE_CHECKING:
    from torch import Tensor


class ExploringDpo(PairObjective):
    """DPO plus a bonus per pair."""

    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    alpha: NotNegative
    """α ≥ 0, the degree of optimism (Zhang et al. 2024b, §4; Xie et al. 2024, Algorithm 1)."""

    @abstractmethod
    def bonus(self, pairs: PairLogps) -> Tensor:
        """Return what is added to DPO's loss, shape (B,)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return DPO's loss plus the bonus; log-probabilities are sums."""
        loss_B, metrics = Dpo(beta=self.beta, label_smoothing=0.0, nll_weight=0.0).loss(pairs)
        bonus_B = self.bonus(pairs)
        return loss_B + bonus_B, metrics | {"exploration": bonus_B.detach()}
