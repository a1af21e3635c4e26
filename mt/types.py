"""The rows of every table: typed carriers shared by data, engines, selection and stages."""

from __future__ import annotations

from dataclasses import dataclass, field

Messages = list[dict[str, str]]
"""A conversation as chat templates take it: a list of {"role": …, "content": …}."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt x; `section` is a label such as RewardBench's (None where there is none)."""

    prompt_id: str
    messages: Messages
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response y: its text, and the token ids that were sampled; foreign text (of a file, of a person) has no ids."""

    text: str
    n_tokens: int
    """Tokens of its own model, without the end-of-turn token; 0 where unknown."""
    finished: bool = True
    """Whether it ended by itself."""
    ids: list[int] | None = None
    """Token ids exactly as sampled, the end-of-turn id included where it was generated."""
    tokenizer: str | None = None
    """Fingerprint of the tokenizer that the ids belong to; to any other tokenizer the response is foreign text."""
    logprob: float | None = field(default=None, compare=False)
    """The sampler's own log-probability, summed over `ids`: raw logits, temperature 1, no nucleus.

    Rounding moves it with the batch, so that it makes no two responses unequal.
    """


@dataclass(frozen=True, slots=True)
class Samples:
    """The K responses of one prompt."""

    prompt_id: str
    messages: Messages
    section: str | None
    responses: list[Response]


@dataclass(frozen=True, slots=True)
class Rewards:
    """Rewards of one prompt's responses, aligned with `Samples.responses`."""

    prompt_id: str
    rewards: list[float]


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference pair; the win probabilities (SPPO) and the weight are optional facts about it."""

    prompt_id: str
    messages: Messages
    section: str | None
    chosen: Response
    rejected: Response
    chosen_reward: float | None = None
    rejected_reward: float | None = None
    chosen_win_probability: float | None = None
    rejected_win_probability: float | None = None
    source: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PairLogProbs:
    """Log-probabilities of a pair's responses, summed over response tokens."""

    prompt_id: str
    chosen: float
    rejected: float


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A response to imitate."""

    prompt_id: str
    messages: Messages
    section: str | None
    response: Response
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two responses to be judged; `order` says which is shown first: "baseline_first" or "model_first"."""

    prompt_id: str
    messages: Messages
    baseline: str
    model: str
    order: str = "baseline_first"


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a judge said of a comparison.

    `preference` lies in [1, 2], 2 where the model is better, None where the judgment is missing (`problem` says
    why); `verdict` is the label where one was asked for, A being shown first; `raw` is the judge's own answer.
    """

    prompt_id: str
    order: str
    preference: float | None
    verdict: str | None
    raw: str
    problem: str | None
    judge: str
    version: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured number with its interval and the number of items behind it."""

    benchmark: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
