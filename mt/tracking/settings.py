"""Settings of the tracker that a run reports to while it goes on; the local record is kept in any case."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mt.choice import Config

Seconds = Annotated[float, Field(gt=0)]


class DisabledTracking(Config):
    """No tracker."""

    name: Literal["disabled"]


class _Tracking(Config):
    """What trackers have in common."""

    sample_prompts: Annotated[int, Field(ge=0)]
    """Prompts per iteration whose sampled responses are shown in a table."""
    timeout_s: Seconds
    """Seconds that a run waits for its tracker at most, once: a call that takes longer ends the tracking. The end of
    a run waits so long for the upload; what is missing then is uploaded by `analysis.sync`."""


class TensorBoardTracking(_Tracking):
    """TensorBoard's event files in the run's folder: `tensorboard --logdir runs` shows them."""

    name: Literal["tensorboard"]


class WandbTracking(_Tracking):
    """Weights & Biases; its key comes from WANDB_API_KEY or from `wandb login`, never from a configuration."""

    name: Literal["wandb"]
    mode: Literal["offline", "online", "disabled"]
    """Write into the run's folder only (`python -m analysis.sync` uploads later), upload at once, or neither.
    WANDB_MODE sets it, too."""
    project: Annotated[str, Field(min_length=1, pattern=r"^[^/\\#?%:]+$")]
    """The W&B project; WANDB_PROJECT sets it, too."""
    entity: str | None
    """The W&B user or team; null takes the account's default. WANDB_ENTITY sets it, too."""
    base_url: str | None
    """The address of a W&B server of one's own; null takes WANDB_BASE_URL, or the public server."""
    tags: list[Annotated[str, Field(min_length=1, max_length=64)]]
    """Tags of the run, besides its own choices (method=…, objective=…, scale=…, rm_data=…)."""
    system_metrics: bool
    """Record the machine's use of processor, memory and GPUs as well."""


TrackingConfig = Annotated[DisabledTracking | WandbTracking | TensorBoardTracking, Field(discriminator="name")]
