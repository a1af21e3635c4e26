"""Settings of the policy's objectives: one class each, chosen by name; values live in conf/objective/."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mt.config.base import Config

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FlipRate = Annotated[float, Field(ge=0, lt=0.5)]


class _Objective(Config):
    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters as the objective of this name takes them."""
        return self.model_dump(exclude={"name"})


class _Pairwise(_Objective):
    nll_weight: NotNegative
    """Weight of an added negative log-likelihood per token of the chosen response, ≥ 0 (our deviation)."""


class Dpo(_Pairwise):
    """Direct preference optimisation (Eq. 2)."""

    name: Literal["dpo"]
    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    label_smoothing: FlipRate
    """Assumed rate of flipped labels in [0, 0.5); above 0 it is conservative DPO (Mitchell 2023)."""


class Robust(_Pairwise):
    """Provably robust DPO (Chowdhury et al. 2024)."""

    name: Literal["robust"]
    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    flip_rate: FlipRate
    """Rate of flipped labels in [0, 0.5) that the loss corrects for (Chowdhury et al. 2024, §3)."""


class Ipo(_Pairwise):
    """Identity preference optimisation (Azar et al. 2023)."""

    name: Literal["ipo"]
    tau: Positive
    """τ > 0; the margin is pulled to 1/(2τ) (Azar et al. 2023, Eq. 17)."""
    per_token: bool
    """Average log-probabilities over tokens, as common implementations do, or sum them, as the paper does."""


class Simpo(_Pairwise):
    """Simple preference optimisation, without a reference (Meng et al. 2024)."""

    name: Literal["simpo"]
    beta: Positive
    """β > 0, from log-probabilities per token to rewards (Meng et al. 2024, Eq. 6)."""
    gamma: NotNegative
    """Target margin γ ≥ 0 between the rewards, absolute: not its ratio to β (Meng et al. 2024, Eq. 6)."""


class Sppo(_Pairwise):
    """Self-play preference optimisation on win probabilities (Wu et al. 2024b)."""

    name: Literal["sppo"]
    beta: Positive
    """β = 1/η > 0 (Wu et al. 2024b, Eq. 4.7)."""


class Slic(_Pairwise):
    """Sequence likelihood calibration, without a reference (Zhao et al. 2023)."""

    name: Literal["slic"]
    margin: Positive
    """Ranking margin δ > 0 in nats (Zhao et al. 2023, §2)."""
    regularization: NotNegative
    """Weight λ ≥ 0 of the summed negative log-likelihood of the chosen response (Zhao et al. 2023, §2)."""


class Hinge(_Pairwise):
    """The hinge loss on log-ratios of statistical rejection sampling optimisation (Liu et al. 2023)."""

    name: Literal["hinge"]
    beta: Positive
    """Slope γ > 0 of the log-ratios (Liu et al. 2023, Eq. 10)."""


class Kto(_Pairwise):
    """Kahneman-Tversky optimisation of both halves of a pair by themselves (Ethayarajh et al. 2024)."""

    name: Literal["kto"]
    beta: Positive
    """β > 0, from log-ratios to rewards (Ethayarajh et al. 2024, §4.1)."""
    desirable_weight: Positive
    """λ_D > 0, the weight of chosen responses (Ethayarajh et al. 2024, §4.1)."""
    undesirable_weight: Positive
    """λ_U > 0, the weight of rejected responses (Ethayarajh et al. 2024, §4.1)."""
    reference_point: Literal["batch", "zero"]
    """z_0: the batch's mean log-ratio clamped at 0, or 0, which makes pairs independent of each other."""


class Orpo(_Pairwise):
    """Odds-ratio preference optimisation, without a reference (Hong et al. 2024)."""

    name: Literal["orpo"]
    odds_weight: NotNegative
    """λ ≥ 0, the weight of the odds-ratio term beside the likelihood (Hong et al. 2024, Eq. 6)."""


class Selm(_Pairwise):
    """Self-exploring language models: DPO with an exploration bonus (Zhang et al. 2024b)."""

    name: Literal["selm"]
    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    alpha: NotNegative
    """α ≥ 0, the degree of optimism; the bonus weighs αβ (Zhang et al. 2024b, §4)."""


class Xpo(_Pairwise):
    """Exploratory preference optimisation: DPO with an exploration bonus (Xie et al. 2024)."""

    name: Literal["xpo"]
    beta: Positive
    """β > 0, from log-ratios to rewards (Eq. 2)."""
    alpha: NotNegative
    """α ≥ 0, the degree of optimism (Xie et al. 2024, Algorithm 1)."""


class Sft(_Objective):
    """Supervised learning on weighted demonstrations: ReST-EM (Singh et al. 2023), or SFT on the best of K."""

    name: Literal["sft"]
    per_token: bool
    """Average the log-likelihood over tokens, or sum it."""


ObjectiveConfig = Annotated[
    Dpo | Robust | Ipo | Simpo | Sppo | Slic | Hinge | Kto | Orpo | Selm | Xpo | Sft, Field(discriminator="name")
]
