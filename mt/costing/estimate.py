"""The cost of one stage and of a plan: FLOPs, seconds, memory, disk, judge calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mt.config.hardware import HardwareConfig
from mt.config.judge import OpenAIJudge
from mt.config.run import RunConfig
from mt.costing.memory import Memory, serving, training
from mt.costing.volumes import Volume, volumes
from mt.workflow.plan import Plan
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store

Kind = Literal["generate", "score", "train", "network", "cpu"]
_BYTES_PER_TOKEN = 4.5  # of text in a Parquet table, compressed


@dataclass(frozen=True)
class Cost:
    """One stage's cost; `seconds` on the whole node."""

    stage: Stage
    kind: Kind
    tokens: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0
    disk_bytes: float = 0.0
    memory: Memory | None = None
    calls: float = 0.0
    usd: float = 0.0
    measured: bool = False


def costs(plan: Plan, config: RunConfig, store: Store) -> list[Cost]:
    """Return the cost of every stage of a plan; finished stages calibrate those of their name."""
    found = volumes(plan.order, config.assumptions)
    estimated = [_cost(stage, found, config) for stage in plan.order if not isinstance(stage, External)]
    return _calibrated(estimated, store)


def _cost(stage: Any, found: Mapping[str, Volume], config: RunConfig) -> Cost:
    out, hardware = found[stage.key], config.hardware
    disk = out.rows * (out.prompt_tokens + out.responses * out.response_tokens) * _BYTES_PER_TOKEN
    if stage.name in ("judge_over_network",):
        return _network(stage, out, config, disk)
    model = _model(stage, found)
    if model is None or model.shape is None:
        return Cost(stage, "cpu", disk_bytes=disk, seconds=0.1)
    shape = model.shape
    if stage.name in ("train_policy", "train_reward", "finetune"):
        rows = found[_table(stage).key]
        sequences = max(rows.responses, 1)
        tokens = rows.rows * sequences * (rows.prompt_tokens + rows.response_tokens) * stage.training.epochs
        memory = training(shape, stage.training, stage.trainer, hardware)
        disk = shape.parameters * shape.bytes_per_weight
        return _timed(stage, "train", tokens, 3 * tokens * shape.flops_per_token, hardware, disk, memory)
    if stage.name == "sample":
        prompts = found[stage.prompts.key]
        tokens = out.rows * (prompts.prompt_tokens + out.responses * out.response_tokens)
        memory = serving(shape, stage.decoding.max_length, stage.generator, hardware)
        return _timed(stage, "generate", tokens, tokens * shape.flops_per_token, hardware, disk, memory)
    table = _table(stage)
    passes = 2 if stage.name in ("policy_diagnostics", "implicit_rewards") else 1
    tokens = passes * found[table.key].tokens
    memory = serving(shape, config.sampling.max_length, config.scorer, hardware)
    return _timed(stage, "score", tokens, tokens * shape.flops_per_token, hardware, 8 * out.rows, memory)


def _timed(
    stage: Stage, kind: Literal["generate", "score", "train"], tokens: float, flops: float,
    hardware: HardwareConfig, disk: float, memory: Memory,
) -> Cost:  # fmt: skip
    rate = hardware.devices * hardware.tflops * 1e12 * getattr(hardware.utilization, kind)
    return Cost(stage, kind, tokens, flops, hardware.stage_seconds + flops / rate, disk, memory)


def _network(stage: Any, out: Volume, config: RunConfig, disk: float) -> Cost:
    judge = stage.judge
    usd = 0.0
    if isinstance(judge, OpenAIJudge):
        price_in, price_out = judge.usd_per_million_input or 0.0, judge.usd_per_million_output or 0.0
        usd = out.rows * (out.prompt_tokens * price_in + out.response_tokens * price_out) / 1e6
    return Cost(stage, "network", out.tokens, calls=out.rows, usd=usd, disk_bytes=disk, seconds=out.rows * 0.2)


def _model(stage: Any, found: Mapping[str, Volume]) -> Volume | None:
    """Return the model that a stage runs, or None where it runs none."""
    names = {
        "score": "reward", "train_reward": "initial", "judge": "judge_model",
        **dict.fromkeys(("sample", "train_policy", "finetune", "reference_log_probs", "policy_diagnostics"), "policy"),
        "implicit_rewards": "policy",
    }  # fmt: skip
    model = getattr(stage, names[stage.name], None) if stage.name in names else None
    return found[model.key] if model is not None else None


def _table(stage: Any) -> Stage:
    """Return the table that a stage's model reads."""
    for name in ("selected", "pairs", "demonstrations", "samples", "model"):
        if isinstance(getattr(stage, name, None), Stage):
            found: Stage = getattr(stage, name)
            return found
    raise TypeError(f"{stage.name} reads no table")


def _calibrated(estimated: list[Cost], store: Store) -> list[Cost]:
    """Replace the seconds of finished stages by what they took, and scale the others of the same name alike."""
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
        name, key = cost.stage.name, cost.stage.key
        factor = took[name] / thought[name] if thought[name] else 1.0
        seconds = actual.get(key, cost.seconds * factor)
        scaled.append(Cost(**{**vars(cost), "seconds": seconds, "measured": bool(thought[name])}))
    return scaled
