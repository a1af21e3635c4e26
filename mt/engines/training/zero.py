"""DeepSpeed: its settings, made from ours alone, and the float32 master weights that it spreads over processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from mt.engines.training.task import TrainingTask


def zero_config(task: TrainingTask) -> dict[str, Any] | None:
    """Return DeepSpeed's configuration for the task's ZeRO stage, or None where it trains without.

    Accumulation is 1 for DeepSpeed: the trainer says itself which micro-batch
    is a step's last.
    """
    trainer = task.trainer
    if not trainer.sharding:
        return None
    sharding: dict[str, Any] = {
        "stage": trainer.sharding,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
    }
    if trainer.sharding == 3:
        sharding |= {"stage3_prefetch_bucket_size": "auto", "stage3_param_persistence_threshold": "auto"}
    if trainer.offloads:
        sharding["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": task.training.max_gradient_norm,
        "bf16": {"enabled": trainer.dtype == "bfloat16"},
        # By default gradients of micro-batches are summed in the precision of the weights: in bfloat16 a sum over
        # many of them loses the small ones.
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": sharding,
        "zero_allow_untested_optimizer": True,  # torch's own AdamW and RMSprop
        "zero_force_ds_cpu_optimizer": False,
    }


def read_checkpoints_as_data() -> None:
    """Name the classes that DeepSpeed's checkpoints may hold: torchrun's workers let torch read no others.

    DeepSpeed asks for whole pickles; `TORCH_FORCE_WEIGHTS_ONLY_LOAD` (see torchrun.py) refuses them all the same.
    """
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address
    from torch.serialization import add_safe_globals

    add_safe_globals([LossScaler, ZeroStageEnum, fragment_address])


def masters_apart(task: TrainingTask) -> bool:
    """Return whether DeepSpeed computes with bfloat16 weights and keeps float32 master weights beside them."""
    trainer = task.trainer
    return trainer.sharding > 0 and trainer.dtype == "bfloat16"


def gathered(parameter: torch.nn.Parameter) -> AbstractContextManager[Any]:
    """Make a parameter whole inside the block, where ZeRO-3 has spread it over processes."""
    if not hasattr(parameter, "ds_id"):
        return nullcontext()
    from deepspeed import zero

    context: AbstractContextManager[Any] = zero.GatheredParameters([parameter], modifier_rank=0)
    return context


def master(parameter: torch.nn.Parameter) -> Tensor:
    """Return a parameter's whole float32 master weight; with DeepSpeed every process has to ask for it."""
    if hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping"):
        from deepspeed.utils import safe_get_full_fp32_param

        whole = safe_get_full_fp32_param(parameter)
        if whole is not None:
            return whole.detach().view(getattr(parameter, "ds_shape", parameter.shape))
    with gathered(parameter):  # not trained, so DeepSpeed keeps no master weight
        return parameter.detach().float().clone() if hasattr(parameter, "ds_id") else parameter.detach().float()


def restore_masters(model: Any, load_start: Callable[[], Any], device: torch.device) -> None:
    """Set DeepSpeed's master weights to the start's float32 weights: it makes its own of the bfloat16 ones.

    Without this, a policy that was published in float32 loses what bfloat16 cannot hold whenever it is trained on.
    The first process loads the weights and sends them to the others.
    """
    from deepspeed.utils import safe_set_full_fp32_param

    first = torch.distributed.get_rank() == 0
    start = dict(load_start().named_parameters()) if first else {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or "lora_" in name:  # no master weight, or none in the folder
            continue
        shape = getattr(parameter, "ds_shape", parameter.shape)
        value = start[name].detach().to(device) if first else torch.empty(shape, device=device)
        torch.distributed.broadcast(value, src=0)
        safe_set_full_fp32_param(parameter, value)
