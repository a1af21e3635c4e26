"""Kahneman-Tversky optimisation on the two halves of a pair, each judged by itself (Ethayarajh et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mt.objectives.batch import Losses, PairLogps, preference_metrics

if TYPE_CHECKING:
    from torch import Tensor

ReferencePoint = Literal["batch", "zero"]


def kto(
    pairs: PairLogps,
    *,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
    reference_point: ReferencePoint,
) -> Losses:
    """Return KTO's loss per pair; log-probabilities are sums.

    Mean over the pair's responses of λ_D(1 − σ(β(Δ_w − z_0))) and λ_U(1 − σ(β(z_0 − Δ_l))) (Ethayarajh et al. 2024,
    §4.1): the mean over pairs is the paper's mean over examples. See `reference_kl` for z_0.
    """
    chosen_B, rejected_B = pairs.log_ratios()
    z_0 = reference_kl(pairs, reference_point)
    desirable_B = desirable_weight * (1 - (beta * (chosen_B - z_0)).sigmoid())
    undesirable_B = undesirable_weight * (1 - (beta * (z_0 - rejected_B)).sigmoid())
    return (desirable_B + undesirable_B) / 2, preference_metrics(beta * chosen_B, beta * rejected_B)


def reference_kl(pairs: PairLogps, reference_point: ReferencePoint) -> Tensor | float:
    """Return z_0, the reference point in nats, without gradient.

    The paper estimates KL(π_θ‖π_ref) by the mean log-ratio of mismatched prompts and responses of the batch,
    clamped at 0 (§4.1). A trainer that runs those sequences passes the scalar as `pairs.reference_kl`, and it wins.
    "batch" is what any trainer has: the mean log-ratio of all responses of the batch, clamped at 0. It is biased
    (the responses were drawn from the reference, where the expected log-ratio is −KL(π_ref‖π_θ) ≤ 0, and then
    picked by reward) and depends on how the batch was cut. "zero" drops the term: no pair influences another.
    """
    if pairs.reference_kl is not None:
        return pairs.reference_kl.detach()
    if reference_point == "zero":
        return 0.0
    chosen_B, rejected_B = pairs.log_ratios()
    return ((chosen_B + rejected_B) / 2).detach().mean().clamp(min=0)
