"""vLLM in worker processes of its own: which GPUs each gets, and how its engine is set."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from mt.engines.settings import VllmEngine
from mt.engines.template import TemplateConfig
from mt.engines.workers import Workers, visible_gpus
from mt.errors import ConfigError, MissingPackageError, describe

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the worker is a process of its own already
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # the context was checked, and scoring asks for one token more
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # workers that each bind to the first cores would share them
}


def vllm_workers(
    config: VllmEngine, module: str, folder: Path, template: TemplateConfig | None, **more: Any
) -> Workers:
    """Return the workers of `module`, each with an engine of its own; none runs before it has something to do.

    They get the settings, the model's folder, its template, and further arguments.
    """
    request = {
        "config": config.model_dump(),
        "engine": engine_settings(config),
        "model": str(folder),
        "folder": str(folder),  # the model's own name, by which errors name it
        "template": template.model_dump() if template else None,
        **more,
    }
    environment = {**_ENVIRONMENT, "OMP_NUM_THREADS": str(config.threads)}
    return Workers(module, request, device_groups(config), environment)


def device_groups(config: VllmEngine) -> list[list[str]]:
    """Return the GPUs of each worker; without GPUs, as many empty groups as workers are wanted.

    Raises `ConfigError` where vLLM is not installed, or more GPUs are asked for than there are.
    """
    check_installed(config.GROUP)
    devices, size = visible_gpus(), config.tensor_parallel
    count = config.processes or max(1, len(devices) // size)
    if devices and count * size > len(devices):
        problem = f"with tensor_parallel={size} needs {count * size} GPUs, {len(devices)} are visible"
        raise ConfigError(
            describe(f"{config.GROUP}.processes", config.processes, problem, allowed=f"1 to {len(devices) // size}")
        )
    if not devices and size > 1:
        raise ConfigError(describe(f"{config.GROUP}.tensor_parallel", size, "there is no GPU", allowed="1"))
    return [devices[i * size : (i + 1) * size] for i in range(count)]


def check_installed(group: str) -> None:
    """Raise `ConfigError` where vLLM is not installed; `group` is the choice that asks for it."""
    if importlib.util.find_spec("vllm") is None:
        fix = f"Install the extra: pip install 'mutual-taught[cluster]', or use {group}=transformers"
        raise MissingPackageError(describe(group, "vllm", "vLLM is not installed", fix=fix))


def engine_settings(config: VllmEngine) -> dict[str, Any]:
    """Return the arguments of vLLM's engine that generation and scoring share."""
    settings: dict[str, Any] = {
        "dtype": config.dtype,
        "tensor_parallel_size": config.tensor_parallel,
        "gpu_memory_utilization": config.gpu_memory,
        "enforce_eager": config.eager,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "seed": 0,
    }
    if config.max_sequences is not None:
        settings["max_num_seqs"] = config.max_sequences
    if config.cache_mib is not None:
        settings["kv_cache_memory_bytes"] = config.cache_mib * 2**20
    return settings
