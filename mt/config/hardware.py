"""Settings of cost estimates: what the hardware can do, and what is assumed where nothing is known."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mt.choice import Config

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class UtilizationConfig(Config):
    """Shares of the peak that each kind of work reaches."""

    generate: Share
    """Sampling, counted over prompts and responses."""
    score: Share
    """Forward passes: rewards and log-probabilities."""
    train: Share
    """Training, recomputed activations counted."""


class HardwareConfig(Config):
    """One node."""

    name: str
    """The choice's own name."""
    devices: Annotated[int, Field(ge=1)]
    """GPUs (or CPU sockets) of the node."""
    memory_gib: Positive
    """Memory of each."""
    host_gib: Positive
    """Memory of the node itself."""
    tflops: Positive
    """Peak of each in the precision used, dense."""
    utilization: UtilizationConfig
    stage_seconds: Annotated[float, Field(ge=0)]
    """Fixed seconds per stage: starting processes, loading weights, compiling."""
    overhead_gib: Annotated[float, Field(ge=0)]
    """Memory of each that no model gets: the device's context, communication buffers."""


class AssumptionsConfig(Config):
    """What is assumed where no finished stage tells better."""

    prompts: Annotated[int, Field(ge=1)]
    """Prompts of a data set whose size is unknown before it is read."""
    prompt_tokens: Positive
    """Mean tokens of a prompt."""
    response_tokens: Positive
    """Mean tokens of a response."""
    judge_prompt_tokens: Positive
    """Tokens of a judge's prompt beside the texts that it compares."""
    judge_answer_tokens: Positive
    """Mean tokens of a judge's answer where a verdict text is asked for."""
    judge_call_seconds: Positive
    """Seconds that one call of a judge over the network takes; `judge.concurrency` are under way at a time."""
    text_bytes_per_token: Positive
    """Bytes that a token of text takes in a compressed table."""
