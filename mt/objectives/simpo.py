"""Simple preference optimisation with a reference-free reward (Meng et al. 2024)."""

from __future__ import annotations

from typing import ClassVar

from mt.choice import NotNegative, Positive
from mt.objectives.base import PairObjective
from mt.objectives.batch import Losses, PairLogps, preference_metrics


class Simpo(PairObjective):
    """Simple preference optimisation, without a reference (Meng et al. 2024)."""

    needs_reference: ClassVar[bool] = False
    beta: Positive
    """β > 0, from log-probabilities per token to rewards (Meng et al. 2024, Eq. 6)."""
    gamma: NotNegative
    """Target margin γ ≥ 0 between the rewards, absolute: not its ratio to β (Meng et al. 2024, Eq. 6)."""

    def loss(self, pairs: PairLogps) -> Losses:
        """Return −log σ(β·mean log π(y_w) − β·mean log π(y_l) − γ), means per token (Meng et al. 2024, Eq. 6)."""
        from torch.nn.functional import logsigmoid

        chosen_B, rejected_B = self.beta * pairs.chosen_mean_B, self.beta * pairs.rejected_mean_B
        return -logsigmoid(chosen_B - rejected_B - self.gamma), preference_metrics(chosen_B, rejected_B)
