"""Models to train: loaded with float32 master weights, given a fresh reward head where needed, and published."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from mt.config.training import TorchrunTrainer
from mt.engines.models import check_model
from mt.engines.training.task import TrainingTask
from mt.errors import ModelError, describe

HEAD = "score"


def load_for_training(task: TrainingTask) -> Any:
    """Load the task's model on the CPU in float32, dropout off; a causal model gets a new reward head by its seed.

    Raises `ModelError` for a folder that cannot serve.
    """
    folder = Path(task.model)
    fresh = task.kind == "reward" and not _is_classifier(folder)
    check_model(folder, "policy" if fresh or task.kind != "reward" else "reward")
    model = _load(folder, _dtype(task), reward=task.kind == "reward")
    if fresh:
        _start_head(model, task.seed)
    switch_off_dropout(model)
    return model


def switch_off_dropout(model: Any) -> None:
    """Set every dropout probability to 0, wherever a module keeps it; the configuration stays as it is.

    Preference losses compare log-probabilities with a reference that was computed without dropout.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def publish(model: Any, tokenizer: Any, source: Path, output: Path, state: dict[str, Any] | None = None) -> None:
    """Write an ordinary model folder in the source's precision: safetensors, configuration, tokenizer and template.

    `state` replaces the model's own weights where those are scattered over processes.
    """
    dtype = stored_dtype(source)
    if state is None:
        model.to(dtype)
    else:
        state = _cast(state, dtype)
    model.config.use_cache = True  # the Trainer switches it off; generation wants it
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(output, state_dict=state)
    model.config.dtype = dtype  # saving took it from the weights in memory
    model.config.save_pretrained(output)
    tokenizer.save_pretrained(output)


def stored_dtype(folder: Path) -> torch.dtype:
    """Return the precision that a folder's configuration names (float32 where it names none)."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    dtype = getattr(torch, str(name), None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ModelError(describe("dtype", name, f"in {folder}/config.json is no floating-point precision"))
    return dtype


def _is_classifier(folder: Path) -> bool:
    path = folder / "config.json"
    names = json.loads(path.read_text("utf-8")).get("architectures") or [] if path.is_file() else []
    return any(name.endswith("ForSequenceClassification") for name in names)


def _cast(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return the weights in a precision; those that share memory go on sharing it."""
    cast = {tensor.data_ptr(): tensor.to(dtype) for tensor in state.values()}
    return {name: cast[tensor.data_ptr()] for name, tensor in state.items()}


def _dtype(task: TrainingTask) -> torch.dtype:
    """Return float32, but for DeepSpeed in bfloat16: it keeps float32 master weights itself."""
    trainer = task.trainer
    zero = isinstance(trainer, TorchrunTrainer) and trainer.zero_stage > 0
    return torch.bfloat16 if zero and trainer.dtype == "bfloat16" else torch.float32


def _load(folder: Path, dtype: torch.dtype, *, reward: bool) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    loader: Any = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    more = {"num_labels": 1} if reward else {}
    try:
        return loader.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **more,
        )
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(describe("model", folder, f"cannot be loaded ({reason})")) from error


def _start_head(model: Any, seed: int) -> None:
    """Draw a new reward head by a generator of its own, so that it depends on the seed and nothing else."""
    head = getattr(model, HEAD, None)
    if head is None:
        problem = f"its classifier has no '{HEAD}' layer to read a reward from"
        raise ModelError(describe("architecture", type(model).__name__, problem, mend="Use a decoder model"))
    generator = torch.Generator().manual_seed(seed)
    deviation = model.config.get_text_config().initializer_range
    with _gathered(head.weight):
        head.weight.data.copy_(torch.normal(0.0, deviation, head.weight.shape, generator=generator))


def _gathered(parameter: torch.nn.Parameter) -> AbstractContextManager[Any]:
    """Make a parameter whole inside the block, where ZeRO-3 has spread it over processes."""
    if not hasattr(parameter, "ds_id"):
        return nullcontext()
    from deepspeed import zero

    context: AbstractContextManager[Any] = zero.GatheredParameters([parameter], modifier_rank=0)
    return context
