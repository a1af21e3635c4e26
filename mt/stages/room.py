"""Whether one GPU has room for a model that a stage puts there whole: asked before anything is computed."""

from __future__ import annotations

import math
from typing import Any

from mt.errors import ModelError, describe
from mt.stages.lineage import start_of
from mt.stages.models import ModelFolder
from mt.workflow.stage import Stage

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a weight."""
_NO_GPU = "cpu"


def inspect_engine(model: Stage, engine: Any, field: str) -> None:
    """Raise ModelError where an engine's weights do not fit; `field` is where its settings stand ("generator")."""
    spread = getattr(engine, "tensor_parallel", None)
    if field == "logprobs":
        fix = "Use GPUs with more memory: log-probabilities are computed by one GPU for each model"
    elif spread is None:
        fix = f"Set {field}=vllm {field}.tensor_parallel=N, which spreads it over N GPUs"
    else:
        fix = f"Raise {field}.tensor_parallel={spread}"
    if engine.dtype == "float32":
        fix = f"Set {field}.dtype=bfloat16. {fix}"
    inspect_room(model, WIDTH[engine.dtype] / (spread or 1), getattr(engine, "device", "auto"), fix)


def inspect_room(model: Stage, bytes_per_weight: float, device: str, fix: str) -> None:
    """Raise ModelError where the weights that each GPU holds exceed the smallest one's memory.

    All models that are trained from a folder have as many weights as it. A machine without GPUs refuses nothing.
    """
    start = start_of(model)
    if device == _NO_GPU or not isinstance(start, ModelFolder):
        return
    import torch

    from mt.engines.models import weight_shapes

    gpus = [torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())]
    weights = sum(math.prod(shape) for shape in weight_shapes(start.location, start.field).values())
    if gpus and weights * bytes_per_weight > min(gpus):
        needed, there = (size / 2**30 for size in (weights * bytes_per_weight, min(gpus)))
        problem = f"has {weights / 1e9:.3g} billion weights: a GPU would hold {needed:.3g} GiB, and has {there:.3g}"
        raise ModelError(describe(start.field, start.location, problem, fix=fix))
