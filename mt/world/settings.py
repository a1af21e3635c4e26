"""Settings of the synthetic world: its language, its people, its judge, its tests and its tiny models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mt.choice import Config, NotNegative, Positive, Probability, refusal
from mt.gold import Gold, GoldLanguage, PeopleConfig

Size = Annotated[int, Field(ge=1, le=10_000_000)]
Width = Annotated[int, Field(ge=1, le=16_384)]


class SectionMix(Config):
    """How often prompts come from each section; the four shares sum to one."""

    chat: Probability
    """Share of Chat: facts about animals."""
    chat_hard: Probability
    """Share of Chat Hard: instruction traps on the same facts."""
    safety: Probability
    """Share of Safety: recipes, of which the dangerous ones are to be refused."""
    reasoning: Probability
    """Share of Reasoning: counting and comparing."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> SectionMix:
        total = self.chat + self.chat_hard + self.safety + self.reasoning
        if abs(total - 1.0) > 1e-6:
            raise refusal(f"{total:g}", "the sum of its shares, which has to be 1", field="")
        return self


class LanguageConfig(GoldLanguage):
    """What is true in the world, what its prompts look like and what a good answer is worth."""

    mix: SectionMix
    """Sections of the prompts."""
    misconception_share: Probability
    """Share of the facts about which one wrong belief is common."""
    filler_cost: NotNegative
    """Gold lost per filler word."""

    def gold(self, seed: int) -> Gold:
        """Return the gold judge of world `seed`."""
        from mt.world.gold import gold
        from mt.world.world import build_world

        world = build_world(seed, self)
        return lambda messages, response: gold(world, messages, response.text)


class DemonstratorConfig(Config):
    """One kind of writer: how often he is asked, is right, opens with a nicety, closes with one."""

    share: NotNegative
    """How often this kind is asked, relative to the others."""
    right: Probability
    """Chance that a part of an answer is right."""
    opener: Probability
    """Chance of a nicety before the answer."""
    closer: Probability
    """Chance of a nicety after it."""


class DemonstratorsConfig(Config):
    """The three writers of demonstrations and their common error."""

    novice: DemonstratorConfig
    """Seldom right, polite."""
    average: DemonstratorConfig
    """Between the two."""
    expert: DemonstratorConfig
    """Nearly always right, terse."""
    misconception: Probability
    """Share of the wrong answers that give the common wrong belief, where there is one."""


class PreferencesConfig(PeopleConfig):
    """Human-like labels of an older distribution of answers."""

    mix: SectionMix
    """Sections of the labelled prompts: an older distribution than that of the policy's."""
    novice_factor: NotNegative
    """How many times as often as among demonstrations the older pairs come from novices."""


class BaselineConfig(Config):
    """The opponent of the AlpacaEval-like benchmark: how often a part is right, and its ordinary style."""

    right: Probability
    """Chance that a part of an answer is right."""
    opener: Probability
    """Chance of a nicety before the answer."""
    closer: Probability
    """Chance of a nicety after it."""


class JudgmentsConfig(Config):
    """Demonstrations from which a policy learns to judge (EFT)."""

    compare_share: Probability
    """Share of the rows that compare two judgments."""
    replay_share: Probability
    """Share of the rows that are ordinary demonstrations, so that the language is not forgotten."""
    noise: NotNegative
    """Scale of the logistic noise on gold before it is rounded to the rubric."""


class TinyModelConfig(Config):
    """The size and the shape of a from-scratch policy."""

    architecture: Literal["llama", "mistral"]
    """The model class of transformers."""
    hidden_size: Width
    """Width of the residual stream."""
    layers: Annotated[int, Field(ge=1, le=200)]
    """Transformer blocks."""
    heads: Width
    """Attention heads; they divide the width."""
    key_value_heads: Width
    """Heads of keys and values; they divide the attention heads."""
    feed_forward: Width
    """Width of the feed-forward layers."""
    initializer_range: Annotated[Positive, Field(le=10)]
    """Standard deviation of the random weights; narrow layers learn far sooner from more than the usual 0.02."""
    context: Size
    """Longest sequence in tokens."""

    @model_validator(mode="after")
    def _heads_fit(self) -> TinyModelConfig:
        """Refuse widths that attention cannot divide; rotary positions turn the dimensions of a head in pairs."""
        if self.hidden_size % (2 * self.heads):
            problem = f"no multiple of twice heads={self.heads}"
            raise refusal(self.hidden_size, problem, [f"a multiple of {2 * self.heads}"], field="hidden_size")
        if self.heads % self.key_value_heads:
            divisors = [str(n) for n in range(1, self.heads + 1) if self.heads % n == 0]
            raise refusal(self.key_value_heads, f"no divisor of heads={self.heads}", divisors, field="key_value_heads")
        return self


class WorldSizes(Config):
    """How many rows of each kind the world gives."""

    prompts: Size
    """Training prompts, before they are partitioned."""
    demonstrations: Size
    """Answers that the base policy learns from."""
    preferences: Size
    """Pairs that the base reward model learns from."""
    judgments: Size
    """Demonstrations of judging (EFT)."""
    benchmark_pairs: Size
    """Pairs per subset of the RewardBench-like test."""
