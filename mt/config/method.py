"""Settings of the methods and of the data that a reward model is retrained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mt.config.base import Config
from mt.config.training import TrainingConfig


class MutualTaught(Config):
    """E-steps and M-steps in turn (Algorithm 1)."""

    name: Literal["mutual_taught"]


class Offline(Config):
    """One training on responses of the base policy, scored by the base reward model."""

    name: Literal["offline"]
    parts: Annotated[int, Field(ge=1)]
    """Parts in which the prompts are sampled; 3 as in the paper's iterative methods, so that they share samples."""


class Iterative(Config):
    """One training per part of the prompts, under a frozen reward model."""

    name: Literal["iterative"]


class Transfer(Config):
    """Another policy, trained once under a reward model of a Mutual-Taught run (Table 3)."""

    name: Literal["transfer"]
    reward_iteration: Annotated[int, Field(ge=0, le=100)]
    """Which reward model guides: 0 is the base one."""
    policy: str | None
    """The other policy: a local folder or a hub name; null takes the world's second policy."""
    revision: str | None
    """The pinned commit of a hub model (40 hex digits); unused for a local folder."""
    source: str | None
    """The folder of a finished mutual_taught run; null takes the one with this run's own settings."""
    guide_iterations: Annotated[int, Field(ge=1, le=100)]
    """Iterations (T) of that Mutual-Taught run where `source` is null."""
    parts: Annotated[int, Field(ge=1)]
    """Parts in which the prompts are sampled."""


class Spin(Config):
    """Demonstrations over the policy's own responses (Chen et al. 2024)."""

    name: Literal["spin"]


class Sail(Config):
    """Offline preferences mixed with the policy's own labels (Ding et al. 2024)."""

    name: Literal["sail"]
    beta: Annotated[float, Field(gt=0)]
    """β of the implicit reward; the order of responses does not depend on it."""
    offline_share: Annotated[float, Field(ge=0, lt=1)]
    """Share of offline preferences in later iterations, in [0, 1)."""


class MetaRewarding(Config):
    """A policy that judges its own responses, and its own judgments (Wu et al. 2024a; Yuan et al. 2024)."""

    name: Literal["meta_rewarding", "self_rewarding"]
    judgments: Annotated[int, Field(ge=1)]
    """Self-judgments per response (N)."""
    judge_iterations: Annotated[int, Field(ge=0, le=100)]
    """Iterations that also train on judge pairs; the later ones train on actor pairs only. 0 is self-rewarding."""
    judge_share: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of judge pairs, in [0, 1): with more the judge collapses to one score."""
    rho: Annotated[list[Annotated[float, Field(ge=0, lt=0.5)]], Field(min_length=1)]
    """Width of the length-control tiers in each iteration; the last value holds on."""
    score_scale: Annotated[float, Field(gt=0)]
    """Scale of scores inside the pairs' win probabilities."""
    judgment_tokens: Annotated[int, Field(ge=1)]
    """Longest judgment, in tokens."""
    chosen_judgment_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest judgment that may be chosen in a judge pair, in tokens, as the meta-judge likes length; null sets no
    limit."""
    judgment_length: Annotated[int, Field(ge=2)]
    """Longest judge's prompt with its judgment, in tokens: it holds a whole conversation, or two judgments of one."""
    eft: str | None
    """A file of judgments to learn from first (JSONL: messages, response, judgment); null takes the world's own."""
    eft_training: TrainingConfig
    """How the policy first learns to judge (EFT)."""


MethodConfig = Annotated[
    MutualTaught | Offline | Iterative | Transfer | Spin | Sail | MetaRewarding, Field(discriminator="name")
]


class MarginFilter(Config):
    """Keep the contrast pairs whose new response the labeler prefers too, by more than a margin."""

    name: Literal["margin"]
    margin: Annotated[float, Field(allow_inf_nan=False)]
    """The new response's reward must exceed the old one's by more than this; 0 keeps what the labeler prefers."""

    def settings(self) -> dict[str, float]:
        """Return what the rule takes."""
        return {"margin": self.margin}


class ConfidenceWeight(Config):
    """Weight contrast pairs by the probability that the labeler gives to the new response."""

    name: Literal["confidence"]
    score_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Scale > 0 of rewards inside that probability."""

    def settings(self) -> dict[str, float]:
        """Return what the rule takes."""
        return {"score_scale": self.score_scale}


LabelFilterConfig = Annotated[MarginFilter | ConfidenceWeight, Field(discriminator="name")]


class RewardDataConfig(Config):
    """What an M-step retrains the reward model on (§5.3); with neither kind of pairs it stays the base model."""

    name: str
    """The choice's own name, for tables."""
    self_training: bool
    """Use D(PM): the new policy's responses, one pair per prompt, labelled by a reward model."""
    contrast: bool
    """Use D(PM_new, PM_old): a response of the new policy over one of the old policy."""
    labels: Literal["reward", "gold"]
    """Who orders the pairs: the method itself, or the world's gold judge (the positive control)."""
    label_filter: LabelFilterConfig | None
    """How the labeler's rewards filter or weight contrast pairs; null trusts that new is better than old (Eq. 5)."""
    replay: Annotated[float, Field(ge=0, lt=1)]
    """Share, in [0, 1), of older preferences in what the reward model is retrained on: the base one's own."""
