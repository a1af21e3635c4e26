"""Settings of cost estimates: what the hardware can do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mt.choice import Config, Count, NotNegative, Positive

ReachedShare = Annotated[float, Field(gt=0, le=1)]


class UtilizationConfig(Config):
    """Shares of the peak that each kind of work reaches."""

    generate: ReachedShare
    """Sampling, counted over prompts and responses."""
    score: ReachedShare
    """Forward passes: rewards and log-probabilities."""
    train: ReachedShare
    """Training, recomputed activations counted."""


class HardwareConfig(Config):
    """One node."""

    name: str
    """The choice's own name."""
    gpu: bool = True
    """Whether the devices are GPUs, whose hours are counted; true in files that do not say."""
    devices: Count
    """GPUs (or CPU sockets) of the node."""
    memory_gib: Positive
    """Memory of each."""
    host_gib: Positive
    """Memory of the node itself."""
    tflops: Positive
    """Peak of each in the precision used, dense."""
    utilization: UtilizationConfig
    stage_seconds: NotNegative
    """Fixed seconds per stage: starting processes, loading weights, compiling."""
    overhead_gib: NotNegative
    """Memory of each that no model gets: the device's context, communication buffers."""
