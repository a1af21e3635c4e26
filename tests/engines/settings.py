"""Settings of the engines as tests need them."""

from __future__ import annotations

from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.generation.vllm import VllmGenerator
from mt.engines.scoring.transformers import TransformersScorer
from mt.engines.scoring.vllm import VllmScorer
from mt.engines.settings import DecodingConfig, LogProbsConfig

LOCAL: dict[str, object] = {"dtype": "float32", "device": "cpu", "threads": 1, "batch_tokens": 512}
VLLM: dict[str, object] = {
    "processes": None,
    "tensor_parallel": 1,
    "gpu_memory": 0.5,
    "cache_mib": 64,
    "max_sequences": 64,
    "eager": True,
    "threads": 1,
}


def generator_config(**changes: object) -> TransformersGenerator:
    values = {"name": "transformers", "long_prompts": "drop", "min_response_tokens": 4, **LOCAL, **changes}
    return TransformersGenerator.model_validate(values)


def decoding_config(**changes: object) -> DecodingConfig:
    values = {"samples": 3, "temperature": 0.8, "top_p": 0.95, "max_new_tokens": 12, "max_length": 64, **changes}
    return DecodingConfig.model_validate(values)


def scorer_config(**changes: object) -> TransformersScorer:
    values = {"name": "transformers", "max_length": 64, "strip_bos": False, **LOCAL, **changes}
    return TransformersScorer.model_validate(values)


def logprobs_config(**changes: object) -> LogProbsConfig:
    return LogProbsConfig.model_validate({**LOCAL, **changes})


def vllm_scorer_config(**changes: object) -> VllmScorer:
    values = {"name": "vllm", "dtype": "float32", "max_length": 64, "strip_bos": False, **VLLM, **changes}
    return VllmScorer.model_validate(values)


def vllm_generator_config(**changes: object) -> VllmGenerator:
    values = {"name": "vllm", "dtype": "float32", "long_prompts": "drop", "min_response_tokens": 4, **VLLM, **changes}
    return VllmGenerator.model_validate(values)
