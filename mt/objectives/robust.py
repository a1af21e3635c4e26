"""Provably robust DPO (Chowdhury, Kini and Natarajan 2024)."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def robust(pairs: PairLogps, *, beta: float, flip_rate: float) -> Losses:
    """Return the loss whose expectation under flipped labels is DPO's on clean ones; log-probabilities are sums.

    With flip rate ε in [0, 0.5): −[(1−ε) log σ(βΔ) − ε log σ(−βΔ)] / (1−2ε) (Chowdhury et al. 2024, §3). Unlike
    conservative DPO it is unbiased, and so it is unbounded below for pairs that the policy ranks as labelled.
    """
    from torch.nn.functional import logsigmoid

    chosen_B, rejected_B = pairs.log_ratios()
    margin_B = beta * (chosen_B - rejected_B)
    loss_B = -((1 - flip_rate) * logsigmoid(margin_B) - flip_rate * logsigmoid(-margin_B)) / (1 - 2 * flip_rate)
    return loss_B, preference_metrics(beta * chosen_B, beta * rejected_B)
