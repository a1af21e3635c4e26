"""DeepSpeed's settings, made from ours: nothing in them is left to a file of the user's."""

from __future__ import annotations

from typing import Any

from mt.config.training import TorchrunTrainer
from mt.engines.training.task import TrainingTask


def zero_config(task: TrainingTask) -> dict[str, Any] | None:
    """Return DeepSpeed's configuration for the task's ZeRO stage, or None where it trains without.

    Accumulation is 1 for DeepSpeed: the trainer says itself which micro-batch is a step's last.
    """
    trainer = task.trainer
    if not isinstance(trainer, TorchrunTrainer) or trainer.zero_stage == 0:
        return None
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": task.training.max_gradient_norm,
        "bf16": {"enabled": trainer.dtype == "bfloat16"},
        "zero_optimization": _sharding(trainer),
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


def _sharding(trainer: TorchrunTrainer) -> dict[str, Any]:
    sharding: dict[str, Any] = {
        "stage": trainer.zero_stage,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
    }
    if trainer.zero_stage == 3:
        sharding |= {
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    if trainer.offload_optimizer:
        sharding["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return sharding
