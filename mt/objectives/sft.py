"""Supervised learning on weighted demonstrations: ReST-EM's M-step, and SFT on the best of K."""

from __future__ import annotations

from mt.objectives.batch import Losses, ResponseLogps


def sft(demonstrations: ResponseLogps, *, per_token: bool) -> Losses:
    """Return −log π(y) per demonstration, as a mean over its tokens (`per_token`) or as a sum.

    Times the demonstration's weight, which `Objective` applies, this is ReST-EM's M-step: the reward-weighted
    negative log-likelihood (Singh et al. 2023, Algorithm 1), which sums over tokens. With weights of 1 it is SFT.
    """
    loss_B = demonstrations.nll_B if per_token else -demonstrations.policy_B
    return loss_B, {}
