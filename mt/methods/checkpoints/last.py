"""The model after the last step (policy.checkpoint=last): the preprint's."""

from __future__ import annotations

from mt.config.method import Checkpoint
from mt.methods.steps import Steps
from mt.workflow.stage import Stage


class Last(Checkpoint):
    """The model after the last step of training."""

    def policy(self, steps: Steps, previous: Stage, selected: Stage, reward: Stage) -> Stage:
        """Return the training."""
        return steps.train_policy(previous, selected, reference=steps.reference(previous))
