"""Training of policies and reward models: one task, run in this process or in processes of its own."""

from __future__ import annotations

from mt.engines.training.task import Observe, TrainingOutcome, TrainingTask

__all__ = ["Observe", "TrainingOutcome", "TrainingTask", "train"]


def train(task: TrainingTask, observe: Observe) -> TrainingOutcome:
    """Train a model into `task.output` by the task's trainer; `observe` is called at every report.

    Raises `ConfigError`, `DataError` or `ModelError` before anything heavy, `EngineError` where training fails.
    """
    if task.trainer.name == "torchrun":
        from mt.engines.training.torchrun import train_in_processes

        return train_in_processes(task, observe)
    from mt.engines.training.process import Place, train_in_this_process

    return train_in_this_process(task, observe, Place(rank=0, devices=1))
