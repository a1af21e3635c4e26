"""The cost of one stage and of a plan: FLOPs, seconds, memory, disk, judge calls."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mt.config.hardware import HardwareConfig
from mt.config.run import RunConfig
from mt.costing.memory import Memory, checkpoint_bytes, fastest, inference, passes, training
from mt.engines.training import Trainer
from mt.stages.train import TrainPolicyCheckpoints
from mt.workflow.engine import in_order_of_engines, loads
from mt.workflow.plan import Plan
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store
from mt.workflow.volume import AssumptionsConfig, Shape, Use, Volume, Volumes

WorkKind = Literal["generate", "score", "train", "network", "cpu"]
CHECKPOINTS_KEPT = 2  # at a time (mt/engines/training/checkpoints.py)
_CPU_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """One stage's cost; `seconds` of the whole node, `scratch_bytes` while it runs."""

    stage: Stage
    kind: WorkKind
    tokens: float = 0.0
    flops: float = 0.0
    seconds: float = _CPU_SECONDS
    disk_bytes: float = 0.0
    scratch_bytes: float = 0.0
    memory: Memory | None = None
    faster: str = ""
    """Settings with which a training recomputes nothing and still fits."""
    steps: int = 0
    """Optimizer steps of a training."""
    calls: float = 0.0
    usd: float = 0.0
    measured: bool = False
    loads: int = 0
    """Models that are loaded for it: 0 where the one that it asks is open already."""


def costs(plan: Plan, config: RunConfig, store: Store) -> list[Cost]:
    """Return the cost of every stage of a plan; finished stages calibrate those of their name."""
    found = volumes(plan.order, config.assumptions)
    computed = in_order_of_engines(stage for stage in plan.order if not isinstance(stage, External))
    loaded = loads(computed)
    estimated = list[Cost]()
    for stage in computed:
        cost = _cost(stage, found, config)
        models = loaded.get(stage.key, 0) if cost.tokens else 0
        # A model that is open already spares the stage its start.
        spared = config.hardware.stage_seconds if cost.tokens and not models else 0.0
        estimated.append(replace(cost, loads=models, seconds=max(0.0, cost.seconds - spared)))
    return _calibrated(estimated, store)


def volumes(order: Sequence[Stage], assumed: AssumptionsConfig) -> dict[str, Volume]:
    """Return the volume of every stage of a plan, by key."""
    found: dict[str, Volume] = {}
    for stage in order:
        found[stage.key] = stage.volume(found, assumed)
    return found


def assumptions_used(plan: Plan, assumptions: AssumptionsConfig) -> dict[str, float]:
    """Return the assumptions that a plan's volumes rest on: not those in whose place something could be counted."""
    known = volumes(plan.order, assumptions)
    calls = any(stage.NEEDS == "network" for stage in plan.order)
    used = {"judge_call_seconds": calls, "text_bytes_per_token": True}
    values: dict[str, float] = assumptions.model_dump()
    return {
        name: value
        for name, value in values.items()
        if used.get(name) or volumes(plan.order, assumptions.model_copy(update={name: 2 * value})) != known
    }


def _cost(stage: Any, found: Volumes, config: RunConfig) -> Cost:
    out, use, hardware = found[stage.key], stage.use(), config.hardware
    disk = out.stored_tokens * config.assumptions.text_bytes_per_token
    if stage.NEEDS == "network":
        usd = stage.judge.usd(out.rows * out.prompt_tokens, out.rows * out.response_tokens)
        seconds = out.rows * config.assumptions.judge_call_seconds / stage.judge.at_once
        return Cost(stage, "network", out.tokens, calls=out.rows, usd=usd, disk_bytes=disk, seconds=seconds)
    shape = found[use.model.key].shape if use is not None else None
    if use is None or shape is None:
        return Cost(stage, "cpu", disk_bytes=disk)
    if use.kind == "copy":
        return Cost(stage, "cpu", disk_bytes=_published_bytes(shape, use.engine))
    read = found[use.table.key] if use.table is not None else None
    if use.kind == "train":
        return _training(stage, use, read or Volume(), shape, hardware)
    tokens = use.passes * read.tokens if read else out.stored_tokens
    shares = math.ceil(read.rows * read.responses / use.shares) if read and use.shares else hardware.devices
    flops = tokens * shape.flops_per_token
    caches = use.setting.endswith("generator")
    memory = inference(shape, use.engine, use.setting, use.sequence, hardware, caches=caches)
    kind: WorkKind = "generate" if use.kind == "generate" else "score"
    seconds = _seconds(flops, use.engine, kind, hardware, shares)
    return Cost(stage, kind, tokens, flops, seconds, disk, memory=memory)


def _training(stage: Any, use: Use, table: Volume, shape: Shape, hardware: HardwareConfig) -> Cost:
    tokens = stage.training.epochs * table.tokens
    steps = stage.training.epochs * math.ceil(table.rows / stage.training.batch_size)
    flops = passes(stage.training, stage.trainer) * tokens * shape.flops_per_token
    seconds = _seconds(flops, stage.trainer, "train", hardware, hardware.devices)
    models = stage.models(table.rows) if isinstance(stage, TrainPolicyCheckpoints) else 1
    published = _published_bytes(shape, stage.trainer)
    disk, kept = models * published, (models - 1) * published
    scratch = kept + CHECKPOINTS_KEPT * checkpoint_bytes(shape, stage.training, stage.trainer)
    memory = training(shape, stage.training, stage.trainer, use.setting, hardware)
    faster = ""
    if memory.fits and stage.trainer.gradient_checkpointing:
        best = fastest(shape, stage.training, stage.trainer, hardware)
        if not best["gradient_checkpointing"]:
            settings = f"trainer.gradient_checkpointing=false trainer.micro_batch_tokens={best['micro_batch_tokens']}"
            faster = f"{1 / passes(stage.training, stage.trainer):.0%} less to compute with {settings}"
    return Cost(stage, "train", tokens, flops, seconds, disk, scratch, memory, faster, steps)


def _published_bytes(shape: Shape, trainer: Trainer) -> float:
    return shape.parameters * (4 if trainer.publish_dtype == "float32" else 2)


def _seconds(flops: float, engine: Any, kind: str, hardware: HardwareConfig, shares: int) -> float:
    """Return the seconds that an engine takes on every device (at most one for each of `shares`), or on one."""
    devices = 1
    if engine.spreads:
        processes = getattr(engine, "processes", None) or hardware.devices
        devices = min(processes * getattr(engine, "tensor_parallel", 1), hardware.devices, max(shares, 1))
    rate = devices * hardware.tflops * 1e12 * getattr(hardware.utilization, kind)
    return hardware.stage_seconds + flops / rate


def _calibrated(estimated: list[Cost], store: Store) -> list[Cost]:
    """Replace the seconds of finished stages by what they took, and scale the others of a name by the same factor."""
    took: dict[str, float] = defaultdict(float)
    thought: dict[str, float] = defaultdict(float)
    actual: dict[str, float] = {}
    for cost in estimated:
        if store.has(cost.stage):
            actual[cost.stage.key] = float(store.artifact(cost.stage).facts["seconds"])
            took[cost.stage.name] += actual[cost.stage.key]
            thought[cost.stage.name] += cost.seconds
    scaled = []
    for cost in estimated:
        name = cost.stage.name
        factor = took[name] / thought[name] if thought[name] else 1.0
        seconds = actual.get(cost.stage.key, cost.seconds * factor)
        scaled.append(replace(cost, seconds=seconds, measured=bool(thought[name])))
    return scaled
