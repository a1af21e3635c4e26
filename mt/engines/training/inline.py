"""Training in this process."""

from __future__ import annotations

from typing import ClassVar

from mt.engines.training.base import Observe, Trainer
from mt.engines.training.task import TrainingOutcome, TrainingTask


class InlineTrainer(Trainer):
    """Training in this process, on one device."""

    publishes_intermediate_models: ClassVar[bool] = True

    def train(self, task: TrainingTask, observe: Observe) -> TrainingOutcome:
        """Train in this process."""
        from mt.engines.training.process import TrainingProcess, train_in_this_process

        return train_in_this_process(task, observe, TrainingProcess(rank=0, world_size=1))
