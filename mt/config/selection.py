"""Settings of the selections: one class each, chosen by name; values live in conf/selection/."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mt.config.base import Config

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Selection(Config):
    def settings(self) -> dict[str, Any]:
        """Return the settings as the selection rule of this name takes them."""
        return self.model_dump(exclude={"name"})


class _Pairs(_Selection):
    score_scale: Positive
    """Scale > 0 of rewards inside the win probabilities that every pair carries (for SPPO)."""


class LengthControlled(_Pairs):
    """The shortest response above the prompt's mean reward over the lowest reward (Appendix A)."""

    name: Literal["length_controlled"]
    shortest_in: Literal["characters"] | None = None
    """What a length counts; null counts the tokens of the policy that gave the response."""
    ties: Literal["order"] | None = None
    """Which of equally short ones is chosen: the one sampled first; null chooses the higher reward."""


class BestWorst(_Pairs):
    """The highest reward over the lowest."""

    name: Literal["best_worst"]


class Rejection(_Pairs):
    """Two responses by statistical rejection sampling, ordered by reward (Liu et al. 2023)."""

    name: Literal["rejection"]
    temperature: Positive
    """β > 0 of the acceptance probability exp((r − r_max)/β) (Liu et al. 2023, Algorithm 1)."""


class Tiers(_Pairs):
    """The shortest response of the best score tier over the longest of the worst (Wu et al. 2024a)."""

    name: Literal["tiers"]
    rho: Annotated[float, Field(ge=0, lt=0.5)]
    """Width ρ of the tiers in [0, 0.5), as a share of the range of scores (Wu et al. 2024a, §2.1)."""


class Margin(_Pairs):
    """The best response over those that lie far enough below (DNO, Rosset et al. 2024)."""

    name: Literal["margin"]
    margin: Positive
    """Least difference in reward, > 0."""
    max_pairs: Annotated[int, Field(ge=1)]
    """Most pairs that one prompt gives, at least 1."""


class BestOfK(_Selection):
    """Demonstrations: the response with the highest reward."""

    name: Literal["best_of_k"]


class RewardWeighted(_Selection):
    """Demonstrations: every distinct response, weighted by its reward (ReST-EM, Singh et al. 2023)."""

    name: Literal["reward_weighted"]
    temperature: Positive
    """τ > 0 of the weights' softmax of reward/τ."""


PairSelection = LengthControlled | BestWorst | Rejection | Tiers | Margin
DemonstrationSelection = BestOfK | RewardWeighted
SelectionConfig = Annotated[PairSelection | DemonstrationSelection, Field(discriminator="name")]
