"""Settings of the engines that generate responses and score them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mt.config.base import Config, Unkeyed

Dtype = Literal["float32", "bfloat16", "float16"]
LongPrompts = Literal["drop", "truncate"]


class DecodingConfig(Config):
    """How responses are drawn from a policy: K of them for each prompt (§5.1)."""

    samples: Annotated[int, Field(ge=1, le=10_000)]
    """Responses per prompt (K)."""
    temperature: Annotated[float, Field(ge=0)]
    """Softmax temperature; 0 decodes greedily."""
    top_p: Annotated[float, Field(ge=1e-6, le=1)]
    """Mass of the nucleus that tokens are drawn from, after temperature."""
    max_new_tokens: Annotated[int, Field(ge=1)]
    """Longest response, in tokens, its end token included."""
    max_length: Annotated[int, Field(ge=2)]
    """Longest prompt and response together, in tokens."""


class SamplingConfig(DecodingConfig):
    """How the responses that become preference pairs are drawn: a pair needs at least two of them."""

    samples: Annotated[int, Field(ge=2, le=10_000)]
    """Responses per prompt (K), at least 2."""


class _Generator(Config):
    """What every generator needs."""

    dtype: Dtype
    """Precision of weights and activations; never guessed from the folder."""
    long_prompts: LongPrompts
    """What happens to a prompt that leaves too little room for a response: dropped, or cut from the left."""
    min_response_tokens: Annotated[int, Field(ge=1)]
    """Tokens that a prompt has to leave for its response (at most max_new_tokens count)."""


class _Scorer(Config):
    """What every scorer needs."""

    dtype: Dtype
    """Precision of weights and activations; never guessed from the folder."""
    max_length: Annotated[int, Field(ge=2)]
    """Longest conversation, in the reward model's tokens; a longer one is cut from the left and counted."""
    strip_bos: bool
    """Leave out the beginning-of-sequence token, for reward models that were trained without it."""


class _Local(Config):
    """Where and in which batches a model runs inside this process."""

    device: Unkeyed[str]
    """auto (the first GPU, or the CPU), cpu, cuda or cuda:<index>."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)] | None]
    """CPU threads; None chooses by what is free."""
    batch_tokens: Unkeyed[Annotated[int, Field(ge=1)]]
    """Tokens of one batch, padding and room for responses included; halved when memory runs out."""


class _Vllm(Config):
    """How vLLM's worker processes are started."""

    processes: Unkeyed[Annotated[int, Field(ge=1)] | None]
    """Worker processes that share the work; None starts one for each group of `tensor_parallel` GPUs."""
    tensor_parallel: Unkeyed[Annotated[int, Field(ge=1)]]
    """GPUs that one worker spreads the model over."""
    gpu_memory: Unkeyed[Annotated[float, Field(gt=0, lt=1)]]
    """Share of a GPU's memory that a worker may take."""
    cache_mib: Unkeyed[Annotated[int, Field(ge=1)] | None]
    """Size of the key-value cache in MiB; None fills the share given by `gpu_memory`."""
    max_sequences: Unkeyed[Annotated[int, Field(ge=1)]]
    """Sequences that are decoded together."""
    eager: Unkeyed[bool]
    """Run without compiled graphs: starts in seconds, decodes slower."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)]]
    """CPU threads of one worker."""


class TransformersGenerator(_Generator, _Local):
    """Generation by transformers in this process."""

    name: Literal["transformers"]


class VllmGenerator(_Generator, _Vllm):
    """Generation by vLLM, one worker process per GPU or group of GPUs."""

    name: Literal["vllm"]


class TransformersScorer(_Scorer, _Local):
    """Scoring by transformers in this process."""

    name: Literal["transformers"]


class VllmScorer(_Scorer, _Vllm):
    """Scoring by vLLM, one worker process per GPU or group of GPUs."""

    name: Literal["vllm"]


class LogProbsConfig(_Local):
    """How a policy's log-probabilities of given responses are computed, in this process."""

    dtype: Dtype
    """Precision of weights and activations; the sums are float32 always."""


GeneratorConfig = Annotated[TransformersGenerator | VllmGenerator, Field(discriminator="name")]
ScorerConfig = Annotated[TransformersScorer | VllmScorer, Field(discriminator="name")]
