"""A Python function as reward (reward=function): rules, verifiable answers, checks of instructions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mt.choice import Count, Positive, Unkeyed
from mt.engines.functions import source_of
from mt.methods.rewards.computed import RewardWithoutModel
from mt.methods.steps import Steps
from mt.stages.rewards import ComputedReward, FunctionReward
from mt.workflow.fingerprint import file_fingerprint


class Function(RewardWithoutModel):
    """A Python function of the user's own: (messages, response) -> float."""

    function: str
    """FILE.py:NAME, or package.module:NAME found from the current folder or the environment. Its module's source enters
    the key; what that imports does not."""
    version: str | int | None
    """Anything; change it where the function gives other rewards although its module is the same."""
    batched: bool
    """Whether it takes all responses to a prompt at once: (list of messages, list of responses) -> list of floats."""
    timeout_s: Positive
    """Seconds that one call may take."""
    failed: Annotated[float, Field(allow_inf_nan=False)]
    """The reward where a call raises, runs out of time, crashes, or returns no finite number; such are counted."""
    processes: Unkeyed[Count]
    """Processes that call it at once."""

    def rule(self, steps: Steps) -> ComputedReward:
        """Return the function, known by its module's source."""
        file = source_of(self.function, "reward.function")
        fingerprint = file_fingerprint(file, Path(steps.config.store))
        how = (
            self.function,
            self.function.rpartition(":")[2],
            self.version,
            self.batched,
            self.timeout_s,
            self.failed,
            self.processes,
        )
        return FunctionReward(fingerprint, file, *how)
