"""Odds-ratio preference optimisation (Hong et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mt.choice import NotNegative
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics

if TYPE_CHECKING:
    from torch import Tensor


class Orpo(PairObjective):
    """Odds-ratio preference optimisation, without a reference (Hong et al. 2024)."""

    needs_reference: ClassVar[bool] = False
    odds_weight: NotNegative
    """λ ≥ 0, the weight of the odds-ratio term beside the likelihood (Hong et al. 2024, Eq. 6)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return −mean log π(y_w) − λ log σ(log odds(y_w) − log odds(y_l)), odds = P/(1 − P).

        log P is the mean log-probability per token (Hong et al. 2024, Eqs. 4, 6 and 7); the likelihood term counts
        response tokens only.
        """
        from torch.nn.functional import logsigmoid

        chosen_B, rejected_B = log_odds(pairs.chosen_mean_B), log_odds(pairs.rejected_mean_B)
        loss_B = pairs.nll_B - self.odds_weight * logsigmoid(chosen_B - rejected_B)
        return loss_B, preference_metrics(self.odds_weight * chosen_B, self.odds_weight * rejected_B)


def log_odds(log_prob_B: Tensor) -> Tensor:
    """Return log(P / (1 − P)) for log P ≤ 0, finite even where P rounds to 1."""
    from torch import finfo

    below_zero_B = log_prob_B.clamp(max=-finfo(log_prob_B.dtype).eps)
    return log_prob_B - (-below_zero_B.expm1()).log()
