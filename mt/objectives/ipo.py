"""Identity preference optimisation (Azar et al. 2023)."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def ipo(pairs: PairLogps, *, tau: float, per_token: bool) -> Losses:
    """Return IPO's loss per pair: (h_w − h_l − 1/(2τ))², h the log-ratio (Azar et al. 2023, Eq. 17).

    The paper sums log-probabilities over tokens; common implementations, and so the numbers compared with, average
    them (`per_token`). τ does not transfer between the two: with means 1/(2τ) is a margin in nats per token.
    """
    chosen_B, rejected_B = pairs.log_ratios()
    if per_token:
        chosen_B, rejected_B = chosen_B / pairs.chosen_length_B, rejected_B / pairs.rejected_length_B
    loss_B = (chosen_B - rejected_B - 1 / (2 * tau)) ** 2
    return loss_B, preference_metrics(tau * chosen_B, tau * rejected_B)
