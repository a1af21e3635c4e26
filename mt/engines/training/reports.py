"""Whom a training tells how it goes, and when it takes checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mt.engines.training.checkpoints import WHOLE, Clock
from mt.engines.training.task import Observe, TrainingTask
from mt.engines.training.trainer import BatchTrainer


class Reports(TrainerCallback):
    """Tells the observer how it goes, and asks for checkpoints at reports, so that a report is never cut in two."""

    def __init__(self, trainer: BatchTrainer, task: TrainingTask, observe: Observe) -> None:
        self.trainer, self.every, self.observe = trainer, task.trainer.report_steps, observe
        steps = trainer.steps
        self.clock = Clock(task.trainer.checkpoint_minutes, steps.devices, trainer.args.device)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to measure time."""
        self.trainer.meter.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Report every so many steps, and at the last one."""
        step, total = state.global_step, state.max_steps
        if step % self.every and step != total:
            return control
        self.observe(step, total, self.trainer.meter.report())
        if step != total and self.clock.due():
            control.should_save = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole once every process has written its part."""
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()
        self.clock.taken()


def ignore(step: int, total: int, metrics: dict[str, float]) -> None:
    """Observe nothing."""
