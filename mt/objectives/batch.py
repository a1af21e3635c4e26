"""The carriers that a trainer fills and every objective reads, and the metrics that pairwise objectives report.

All log-probabilities are sums over the response's tokens, its end-of-turn token included, never over the prompt; an
objective that wants means divides by the lengths. This module only touches tensors through their own methods, so
that an objective's class can be read without importing torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mt.errors import ConfigError, describe

if TYPE_CHECKING:
    from torch import Tensor

Metrics = dict[str, "Tensor"]
Losses = tuple["Tensor", Metrics]
"""One loss per row, shape (B,), and detached metrics of the same shape; the trainer reduces both, once."""


@dataclass(frozen=True, slots=True)
class PairLogps:
    """What an objective knows about B preference pairs; every tensor has shape (B,) unless it says otherwise."""

    chosen_B: Tensor
    """Policy's summed log-probability of the chosen response."""
    rejected_B: Tensor
    """Policy's summed log-probability of the rejected response."""
    chosen_length_B: Tensor
    """Tokens that `chosen_B` sums over, at least 1."""
    rejected_length_B: Tensor
    """Tokens that `rejected_B` sums over, at least 1."""
    reference_chosen_B: Tensor | None = None
    """Reference's summed log-probability of the chosen response."""
    reference_rejected_B: Tensor | None = None
    """Reference's summed log-probability of the rejected response."""
    chosen_win_probability_B: Tensor | None = None
    """Probability that the chosen response beats a response of the policy (SPPO)."""
    rejected_win_probability_B: Tensor | None = None
    """Probability that the rejected response beats a response of the policy (SPPO)."""
    weight_B: Tensor | None = None
    """Weight of the pair in the loss; None gives all pairs the same weight."""
    whole_batch: Tensor | None = None
    """What a coupled objective needs of all pairs of the global batch (`Objective.whole_batch`)."""

    @property
    def chosen_mean_B(self) -> Tensor:
        """Policy's log-probability of the chosen response per token."""
        return self.chosen_B / self.chosen_length_B

    @property
    def rejected_mean_B(self) -> Tensor:
        """Policy's log-probability of the rejected response per token."""
        return self.rejected_B / self.rejected_length_B

    @property
    def nll_B(self) -> Tensor:
        """Negative log-likelihood of the chosen response per token."""
        return -self.chosen_mean_B

    def log_ratios(self) -> tuple[Tensor, Tensor]:
        """Return log π_θ(y)/π_ref(y) of chosen and rejected; ConfigError without reference log-probabilities."""
        reference_chosen_B = _given("reference_chosen_B", self.reference_chosen_B)
        reference_rejected_B = _given("reference_rejected_B", self.reference_rejected_B)
        return self.chosen_B - reference_chosen_B, self.rejected_B - reference_rejected_B

    def win_probabilities(self) -> tuple[Tensor, Tensor]:
        """Return the win probabilities of chosen and rejected; ConfigError where the pairs carry none."""
        return (
            _given("chosen_win_probability_B", self.chosen_win_probability_B),
            _given("rejected_win_probability_B", self.rejected_win_probability_B),
        )

    def metrics(self) -> Metrics:
        """Return what every pairwise objective reports beside its own metrics."""
        return {
            "log_prob_chosen": self.chosen_B.detach(),
            "log_prob_rejected": self.rejected_B.detach(),
            "nll": self.nll_B.detach(),
        }


@dataclass(frozen=True, slots=True)
class ResponseLogps:
    """What an objective knows about B demonstrations; every tensor has shape (B,)."""

    policy_B: Tensor
    """Policy's summed log-probability of the response."""
    length_B: Tensor
    """Tokens that `policy_B` sums over, at least 1."""
    weight_B: Tensor | None = None
    """Weight of the demonstration in the loss; None gives all the same weight."""

    @property
    def nll_B(self) -> Tensor:
        """Negative log-likelihood of the response per token."""
        return -self.policy_B / self.length_B

    def metrics(self) -> Metrics:
        """Return what every objective on demonstrations reports."""
        return {"log_prob_chosen": self.policy_B.detach(), "nll": self.nll_B.detach()}


def preference_metrics(chosen_reward_B: Tensor, rejected_reward_B: Tensor) -> Metrics:
    """Return the objective's implicit rewards, their margin, and whether the chosen one is (strictly) higher."""
    margin_B = (chosen_reward_B - rejected_reward_B).detach()
    return {
        "reward_chosen": chosen_reward_B.detach(),
        "reward_rejected": rejected_reward_B.detach(),
        "margin": margin_B,
        "accuracy": (margin_B > 0).to(margin_B.dtype),
    }


def _given(field: str, value: Tensor | None) -> Tensor:
    if value is None:
        problem = "the objective needs it, and the batch has none"
        raise ConfigError(
            describe(
                field, value, problem, fix="Set needs_reference or needs_win_probabilities in the objective's class"
            )
        )
    return value
