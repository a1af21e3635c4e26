"""Simple preference optimisation with a reference-free reward (Meng et al. 2024)."""

from __future__ import annotations

from mt.objectives.batch import Losses, PairLogps, preference_metrics


def simpo(pairs: PairLogps, *, beta: float, gamma: float) -> Losses:
    """Return SimPO's loss per pair; log-probabilities are means per token, and there is no reference.

    −log σ(β·mean log π(y_w) − β·mean log π(y_l) − γ) (Meng et al. 2024, Eq. 6). `gamma` ≥ 0 is the target margin
    itself, not its ratio to `beta`.
    """
    from torch.nn.functional import logsigmoid

    chosen_B, rejected_B = beta * pairs.chosen_mean_B, beta * pairs.rejected_mean_B
    return -logsigmoid(chosen_B - rejected_B - gamma), preference_metrics(chosen_B, rejected_B)
