"""Self-play preference optimisation with soft win probabilities (Wu et al. 2024b)."""

from __future__ import annotations

from typing import ClassVar

from mt.choice import Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Sppo(PairObjective):
    """Self-play preference optimisation on win probabilities (Wu et al. 2024b)."""

    needs_win_probabilities: ClassVar[bool] = True
    beta: Positive
    """β = 1/η > 0 (Wu et al. 2024b, Eq. 4.7)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return ½[(Δ_w − η(p_w − ½))² + (Δ_l − η(p_l − ½))²]; log-probabilities are sums.

        Δ is the log-ratio, p the win probability and η = 1/β (Wu et al. 2024b, Eq. 4.7, averaged over the two
        responses of a pair).
        """
        chosen_B, rejected_B = pairs.log_ratios()
        chosen_win_B, rejected_win_B = pairs.win_probabilities()
        chosen_error_B = chosen_B - (chosen_win_B - 0.5) / self.beta
        rejected_error_B = rejected_B - (rejected_win_B - 0.5) / self.beta
        loss_B = (chosen_error_B**2 + rejected_error_B**2) / 2
        return loss_B, preference_metrics(self.beta * chosen_B, self.beta * rejected_B)
