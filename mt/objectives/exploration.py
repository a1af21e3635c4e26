"""DPO with an exploration bonus: SELM (Zhang et al. 2024b) and XPO (Xie et al. 2024).

Both lower the likelihood of responses that the reference already gives, so that probability flows to unseen ones.
The papers draw those responses afresh; here they are the pair's own two, which come from the reference whenever
`reference=previous` (our choice: no further sampling; as picked by reward they overweight the best and the worst).
"""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps
from mt.objectives.dpo import dpo


def selm(pairs: PairLogps, *, beta: float, alpha: float) -> Losses:
    """Return DPO's loss plus αβ log π_θ(y)/π_ref(y), y a response of the reference; log-probabilities are sums.

    Zhang et al. 2024b, §4, as the authors' trainer computes it; `alpha` ≥ 0 is the degree of optimism.
    """
    loss_B, metrics = dpo(pairs, beta=beta, label_smoothing=0.0)
    chosen_B, rejected_B = pairs.log_ratios()
    bonus_B = alpha * beta * (chosen_B + rejected_B) / 2
    return loss_B + bonus_B, metrics | {"exploration": bonus_B.detach()}


def xpo(pairs: PairLogps, *, beta: float, alpha: float) -> Losses:
    """Return DPO's loss plus α log π_θ(y), y a response of the reference; log-probabilities are sums.

    Xie et al. 2024, Algorithm 1; `alpha` ≥ 0 is the degree of optimism.
    """
    loss_B, metrics = dpo(pairs, beta=beta, label_smoothing=0.0)
    bonus_B = alpha * (pairs.chosen_B + pairs.rejected_B) / 2
    return loss_B + bonus_B, metrics | {"exploration": bonus_B.detach()}
