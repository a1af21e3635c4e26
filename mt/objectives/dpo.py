"""Direct preference optimisation (Rafailov et al. 2023) and its conservative variant (Mitchell 2023)."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def dpo(pairs: PairLogps, *, beta: float, label_smoothing: float) -> Losses:
    """Return DPO's loss per pair; log-probabilities are sums (Eq. 2; Rafailov et al. 2023, Eq. 7).

    `beta` > 0 scales the log-ratios into rewards. `label_smoothing` ε in [0, 0.5) is the assumed rate of flipped
    labels: conservative DPO (Mitchell 2023, "A note on DPO with noisy preferences") takes the mean loss under it.
    """
    from torch.nn.functional import logsigmoid

    chosen_B, rejected_B = pairs.log_ratios()
    margin_B = beta * (chosen_B - rejected_B)
    loss_B = -(1 - label_smoothing) * logsigmoid(margin_B) - label_smoothing * logsigmoid(-margin_B)
    return loss_B, preference_metrics(beta * chosen_B, beta * rejected_B)
