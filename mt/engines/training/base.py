"""What every trainer is: its settings, what it refuses, and how it runs a task."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from mt.choice import Choice, Count, NotNegative, Unkeyed
from mt.engines.settings import default_batch_tokens
from mt.engines.training.settings import TrainingConfig
from mt.errors import ConfigError, MissingPackageError, describe

if TYPE_CHECKING:
    from mt.engines.training.task import TrainingOutcome, TrainingTask
    from mt.objectives import Objective
    from mt.reward_losses import RewardLoss

Observe = Callable[[int, int, dict[str, float]], None]
"""observe(step, steps in all, metrics): called at every report, on the first process only."""


class Trainer(Choice):
    """The machinery of a training (`trainer=`)."""

    GROUP: ClassVar[str] = "trainer"
    PACKAGE: ClassVar[str] = "mt.engines.training"

    spreads: ClassVar[bool] = False
    """Whether several devices share a training."""
    publishes_intermediate_models: ClassVar[bool] = False
    """Whether it can publish models on the way (`TrainingTask.every_steps`), and not only the last one."""

    dtype: Literal["float32", "bfloat16"]
    """Precision of the forward and backward pass; master weights and optimizer stay in float32."""
    publish_dtype: Literal["float32", "bfloat16"]
    """Precision of the published weights. bfloat16 halves the folder, but rounds small changes of weights away: at a
    small learning rate most of them. The count `update_kept` says how many are left."""
    allow_unchanged: Unkeyed[bool]
    """Publish a model that equals its start, with a warning; false makes that an error."""
    micro_batch_tokens: Unkeyed[Count | None]
    """Tokens, padding included, of one forward pass on one device; gradients accumulate to the whole batch. Null
    chooses by the device that it runs on."""
    gradient_checkpointing: Unkeyed[bool]
    """Recompute activations in the backward pass: about a third slower, much less memory."""
    checkpoint_minutes: Unkeyed[NotNegative]
    """Minutes between checkpoints, from which a killed training continues; 0 saves at every report."""
    report_steps: Unkeyed[Count]
    """Steps between reports of loss, accuracy and the like."""
    threads: Unkeyed[Annotated[int, Field(ge=1, le=1024)] | None]
    """CPU threads of one process; null takes an equal share of the cores that the run may use."""
    device: Unkeyed[Literal["auto", "cpu", "cuda"]]
    """Where to train; auto takes a GPU where there is one."""

    @property
    def sharding(self) -> int:
        """The ZeRO stage: 0 keeps everything whole on each device."""
        return 0

    @property
    def offloads(self) -> bool:
        """Whether the optimizer's state lies in CPU memory."""
        return False

    @property
    def collective_timeout_minutes(self) -> float:
        """Minutes that one collective operation may take."""
        return 30.0

    def tokens_per_micro_batch(self, device_type: str) -> int:
        """Return the tokens of one forward pass on a device of torch's type `cpu` or `cuda`."""
        return self.micro_batch_tokens or default_batch_tokens("train", device_type)

    @abstractmethod
    def train(self, task: TrainingTask, observe: Observe) -> TrainingOutcome:
        """Train a model into `task.output`; `observe` is called at every report.

        Raises ConfigError, DataError or ModelError before anything heavy, EngineError where training fails.
        """

    def deviations(self, training: TrainingConfig, objective: Objective | RewardLoss) -> list[str]:
        """Return what it does otherwise than the settings say, one line each, which is said when a training starts."""
        return []

    def check(self, training: TrainingConfig, objective: Objective | RewardLoss) -> None:
        """Raise ConfigError where this trainer cannot train so, or where a package is missing."""
        if training.lora is not None and importlib.util.find_spec("peft") is None:
            fix = "Install it (pip install peft), or set training.lora=null"
            raise MissingPackageError(describe("training.lora", training.lora.rank, "peft is not installed", fix=fix))

    def check_intermediate_models(self) -> None:
        """Raise ConfigError where it publishes the last model only."""
        if not self.publishes_intermediate_models:
            problem, fix = "it publishes the last model only", "Or set policy.checkpoint=last"
            raise ConfigError(describe("trainer", self.name, problem, allowed="inline, torchrun", fix=fix))
