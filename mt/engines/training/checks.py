"""What can be said of a training before anything is loaded: no torch is imported, no GPU asked."""

from __future__ import annotations

import importlib.util

from mt.config.training import TorchrunTrainer, TrainerConfig, TrainingConfig
from mt.errors import ConfigError, MissingPackageError, describe


def check_trainer(trainer: TrainerConfig, training: TrainingConfig) -> None:
    """Refuse a trainer whose packages are missing, or that cannot train so; raises `ConfigError`."""
    zero = trainer.zero_stage if isinstance(trainer, TorchrunTrainer) else 0
    if isinstance(trainer, TorchrunTrainer) and trainer.processes:
        check_processes(trainer.processes, training)
    if training.lora is not None and zero == 3:
        problem = "adapters cannot be merged into weights that are spread over processes"
        raise ConfigError(describe("trainer.zero_stage", 3, problem, allowed="0, 1, 2 with training.lora"))
    if zero > 0 and importlib.util.find_spec("deepspeed") is None:
        mend = "Install it (pip install 'mutual-taught[cluster]'), or set trainer.zero_stage=0"
        raise MissingPackageError(describe("trainer.zero_stage", zero, "DeepSpeed is not installed", mend=mend))
    if training.lora is not None and importlib.util.find_spec("peft") is None:
        mend = "Install it (pip install peft), or set training.lora=null"
        raise MissingPackageError(describe("training.lora", training.lora.rank, "peft is not installed", mend=mend))


def check_processes(processes: int, training: TrainingConfig) -> None:
    """Refuse more processes than a batch has rows; any smaller number shares it exactly."""
    if processes > training.batch_size:
        problem = f"more than the {training.batch_size} rows of a batch"
        raise ConfigError(describe("trainer.processes", processes, problem, mend="Start fewer"))
