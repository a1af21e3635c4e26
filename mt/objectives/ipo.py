"""Identity preference optimisation (Azar et al. 2023)."""

from __future__ import annotations

from mt.choice import Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Ipo(PairObjective):
    """Identity preference optimisation (Azar et al. 2023)."""

    tau: Positive
    """τ > 0; the margin is pulled to 1/(2τ) (Azar et al. 2023, Eq. 17)."""
    per_token: bool
    """Average log-probabilities over tokens, as common implementations do, or sum them, as the paper does."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return (h_w − h_l − 1/(2τ))², h the log-ratio (Azar et al. 2023, Eq. 17).

        The paper sums log-probabilities over tokens; common implementations, and so the numbers compared with,
        average them. τ does not transfer between the two: with means 1/(2τ) is a margin in nats per token.
        """
        chosen_B, rejected_B = pairs.log_ratios()
        if self.per_token:
            chosen_B, rejected_B = chosen_B / pairs.chosen_length_B, rejected_B / pairs.rejected_length_B
        loss_B = (chosen_B - rejected_B - 1 / (2 * self.tau)) ** 2
        return loss_B, preference_metrics(self.tau * chosen_B, self.tau * rejected_B)
