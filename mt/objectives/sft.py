"""Supervised learning on weighted demonstrations: ReST-EM's M-step, and SFT on the best of K."""

from __future__ import annotations

from typing import ClassVar, Literal

from mt.objectives.base import Objective
from mt.objectives.batch import Losses, ResponseLogps


class Sft(Objective):
    """Supervised learning on weighted demonstrations: ReST-EM (Singh et al. 2023), or SFT on the best of K."""

    learns_from: ClassVar[Literal["pairs", "demonstrations"]] = "demonstrations"
    needs_reference: ClassVar[bool] = False
    per_token: bool
    """Average the log-likelihood over tokens, or sum it."""

    @property
    def called(self) -> str:
        """Two choices of `objective=` share this class."""
        return "best_of_k or rest_em"

    def loss(self, demonstrations: ResponseLogps) -> Losses:
        """Return −log π(y) per demonstration, as a mean over its tokens or as a sum.

        Times the demonstration's weight this is ReST-EM's M-step: the reward-weighted negative log-likelihood
        (Singh et al. 2023, Algorithm 1), which sums over tokens. With weights of 1 it is SFT.
        """
        return demonstrations.nll_B if self.per_token else -demonstrations.policy_B, {}
