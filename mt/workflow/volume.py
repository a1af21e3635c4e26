"""The size of a stage's output and its use of a model, known before anything runs: for estimates of cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mt.choice import Config, Count, Positive

if TYPE_CHECKING:
    from mt.workflow.stage import Stage


class AssumptionsConfig(Config):
    """Assumptions for what no finished stage has measured."""

    prompts: Count
    """Prompts of a data set whose size is unknown before it is read."""
    prompt_tokens: Positive
    """Mean tokens of a prompt."""
    response_tokens: Positive
    """Mean tokens of a response."""
    judge_prompt_tokens: Positive
    """Tokens of a judge's prompt beside the texts that it compares."""
    judge_answer_tokens: Positive
    """Mean tokens of a judge's answer where a verdict text is asked for."""
    judge_call_seconds: Positive
    """Seconds that one call of a judge over the network takes; `judge.concurrency` are under way at a time."""
    text_bytes_per_token: Positive
    """Bytes of text that a token stands for."""

    def rows(self, rows: float, responses: float = 0.0) -> Volume:
        """Return so many prompts of the mean length, each with so many responses."""
        return Volume(rows, responses, self.prompt_tokens, self.response_tokens)


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes."""

    hidden: int
    layers: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether the output head shares the embedding's weights."""
    rewards: bool = False
    """Whether one number is read out in place of the vocabulary."""
    counted: int | None = None
    """Weights that the model's files hold; None counts those of a dense decoder with gated feed-forward layers."""
    idle: int = 0
    """Of these, the weights of experts that a token does not pass."""

    @property
    def embedding(self) -> int:
        """Weights of the embedding, and of an output head over the vocabulary."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All weights: as counted, else those of attention, gated feed-forward, embedding and output head."""
        if self.counted is not None:
            return self.counted
        attention = 2 * self.hidden * self.head_size * (self.heads + self.key_value_heads)
        one_table = self.tied or self.rewards
        return self.layers * (attention + 3 * self.hidden * self.feed_forward) + self.embedding * (2 - one_table)

    def adapter_parameters(self, rank: int) -> int:
        """Return the weights of low-rank adapters beside all linear layers but the output head."""
        attention = 4 * self.hidden + 2 * self.head_size * (self.heads + self.key_value_heads)
        return self.layers * rank * (attention + 3 * (self.hidden + self.feed_forward))

    @property
    def flops_per_token(self) -> int:
        """FLOPs of a forward pass per token: two per weight that multiplies (the embedding look-up does not)."""
        looked_up = 0 if self.tied and not self.rewards else self.embedding
        return 2 * (self.parameters - looked_up - self.idle)

    @property
    def cache_values(self) -> int:
        """Keys and values that a token leaves in the cache."""
        return 2 * self.layers * self.key_value_heads * self.head_size


@dataclass(frozen=True, slots=True)
class Volume:
    """What a stage puts out: tables have rows of responses, models a shape."""

    rows: float = 0.0
    responses: float = 1.0
    prompt_tokens: float = 0.0
    response_tokens: float = 0.0
    shape: Shape | None = None

    @property
    def tokens(self) -> float:
        """Tokens of all responses, each with its prompt."""
        return self.rows * self.responses * (self.prompt_tokens + self.response_tokens)

    @property
    def stored_tokens(self) -> float:
        """Tokens of all prompts and of all responses, each once: what is stored, and what sampling reads."""
        return self.rows * (self.prompt_tokens + self.responses * self.response_tokens)

    def at_most(self, rows: float) -> Volume:
        """Return the volume of no more than so many of the rows."""
        return replace(self, rows=min(self.rows, rows))


Volumes = Mapping[str, Volume]
"""Volumes of stages by their keys."""


@dataclass(frozen=True)
class Use:
    """How a stage uses a model."""

    kind: Literal["generate", "score", "train", "copy"]
    model: Stage
    engine: Any
    """Settings of the engine or the trainer."""
    setting: str
    """Where they stand, such as "scorer"; of a training, where that stands, such as "policy.training"."""
    table: Stage | None = None
    """The table whose responses the model reads; None where it writes or reads what the stage puts out."""
    passes: int = 1
    """Times that the table is read."""
    sequence: int = 0
    """Tokens that have to be in memory at once, at least."""
    shares: int | None = None
    """Rows of the least work that a device can do by itself; None where any number of devices shares it."""
