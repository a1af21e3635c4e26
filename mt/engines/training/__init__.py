"""Training of policies and reward models: one task, run by the trainer that it names."""

from mt.engines.training.base import Observe, Trainer
from mt.engines.training.task import TrainingOutcome, TrainingTask

__all__ = ["Observe", "Trainer", "TrainingOutcome", "TrainingTask"]
