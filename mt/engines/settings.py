"""Settings that engines share: how responses are drawn, and where and in which batches a model runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from mt.choice import Config, Count, Length, Tokens, Unkeyed, refusal

if TYPE_CHECKING:
    from mt.engines.scoring.logprobs import OpenLogProbs
    from mt.engines.template import TemplateConfig

Dtype = Literal["float32", "bfloat16", "float16"]
Work = Literal["generate", "score", "logprobs", "train"]
"""What a batch is computed for."""
_ON_GPU: dict[Work, int] = {"generate": 131_072, "score": 65_536, "logprobs": 16_384, "train": 16_384}
_ON_CPU: dict[Work, int] = {"generate": 32_768, "score": 512, "logprobs": 512, "train": 512}


def default_batch_tokens(work: Work, device_type: str) -> int:
    """Return the tokens of a batch where the settings leave them to the device, of torch's type `cpu` or `cuda`.

    A GPU is busy only with large matrices; log-probabilities and training also hold logits and activations. A CPU's
    caches hold the activations of 512 tokens of SmolLM2 (benchmarks/real.md). Decoding computes one token of each
    sequence at a time, so that its batches are larger on a CPU, too.
    """
    return (_ON_CPU if device_type == "cpu" else _ON_GPU)[work]


def _greedy_or_warm(temperature: float) -> float:
    """Refuse what is above 0 and so cold that logits divided by it overflow."""
    if 0 < temperature < 0.01:
        raise refusal(temperature, "too small", ["0, which decodes greedily, or at least 0.01"], field="")
    return temperature


class DecodingConfig(Config):
    """How responses are drawn from a policy: K of them for each prompt (§5.1)."""

    samples: Annotated[int, Field(ge=1, le=10_000)]
    """Responses per prompt (K)."""
    temperature: Annotated[float, Field(ge=0, le=100), AfterValidator(_greedy_or_warm)]
    """Softmax temperature, at least 0.01; 0 decodes greedily."""
    top_p: Annotated[float, Field(ge=1e-6, le=1)]
    """Mass of the nucleus that tokens are drawn from, after temperature."""
    max_new_tokens: Tokens
    """Longest response, in tokens, its end token included."""
    max_length: Length
    """Longest prompt and response together, in tokens."""


class SamplingConfig(DecodingConfig):
    """How the responses that become preference pairs are drawn: a pair needs at least two of them."""

    samples: Annotated[int, Field(ge=2, le=10_000)]
    """Responses per prompt (K), at least 2."""


class LocalEngine(Config):
    """Where and in which batches a model runs inside this process."""

    spreads: ClassVar[bool] = False
    """Whether several devices share the work."""
    work: ClassVar[Work]
    """What its batches are computed for."""

    device: Unkeyed[str]
    """auto (the first GPU, or the CPU), cpu, cuda or cuda:<index>."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)] | None]
    """CPU threads; null takes the cores that the process may use."""
    batch_tokens: Unkeyed[Count | None]
    """Tokens of one batch, padding and room for responses included; halved when memory runs out. Null chooses by the
    device that it runs on."""

    def tokens_per_batch(self, device_type: str) -> int:
        """Return the tokens of one batch on a device of torch's type `cpu` or `cuda`."""
        return self.batch_tokens or default_batch_tokens(self.work, device_type)


class VllmEngine(Config):
    """How vLLM's worker processes are started."""

    GROUP: ClassVar[str]
    spreads: ClassVar[bool] = True

    dtype: Dtype
    """Precision of weights and activations; never guessed from the folder."""
    processes: Unkeyed[Count | None]
    """Worker processes that share the work; None starts one for each group of `tensor_parallel` GPUs."""
    tensor_parallel: Unkeyed[Count]
    """GPUs that one worker spreads the model over."""
    gpu_memory: Unkeyed[Annotated[float, Field(gt=0, lt=1)]]
    """Share of a GPU's memory that a worker may take."""
    cache_mib: Unkeyed[Count | None]
    """Size of the key-value cache in MiB; None fills the share given by `gpu_memory`."""
    max_sequences: Unkeyed[Count | None]
    """Sequences that are decoded together; null takes vLLM's default for the card."""
    eager: Unkeyed[bool]
    """Run without compiled graphs: starts in seconds, decodes slower."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)]]
    """CPU threads of one worker."""


class LogProbsConfig(LocalEngine):
    """How a policy's log-probabilities of given responses are computed, in this process."""

    spreads: ClassVar[bool] = True
    work: ClassVar[Work] = "logprobs"

    dtype: Dtype
    """Precision of weights and activations; the sums are float32 always."""

    def open(self, folder: Path, template: TemplateConfig | None = None) -> AbstractContextManager[OpenLogProbs]:
        """Open the policy in `folder`; memory is given back at the block's end."""
        from mt.engines.scoring.logprobs import OpenLogProbs

        return closing(OpenLogProbs(self, Path(folder), template))
