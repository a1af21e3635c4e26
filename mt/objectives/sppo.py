"""Self-play preference optimisation with soft win probabilities (Wu et al. 2024b)."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def sppo(pairs: PairLogps, *, beta: float) -> Losses:
    """Return SPPO's loss per pair; log-probabilities are sums.

    ½[(Δ_w − η(p_w − ½))² + (Δ_l − η(p_l − ½))²] with the log-ratio Δ, the win probability p and η = 1/`beta`
    (Wu et al. 2024b, Eq. 4.7, averaged over the two responses of a pair).
    """
    chosen_B, rejected_B = pairs.log_ratios()
    chosen_win_B, rejected_win_B = pairs.win_probabilities()
    chosen_error_B = chosen_B - (chosen_win_B - 0.5) / beta
    rejected_error_B = rejected_B - (rejected_win_B - 0.5) / beta
    loss_B = (chosen_error_B**2 + rejected_error_B**2) / 2
    return loss_B, preference_metrics(beta * chosen_B, beta * rejected_B)
