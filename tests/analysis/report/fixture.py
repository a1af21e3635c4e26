"""Run folders with known numbers, made by the project's own store from small stages of the real stages' names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mt.types import Metric
from mt.workflow.engine import OpenEngine
from mt.workflow.execute import compute
from mt.workflow.plan import Plan, plan
from mt.workflow.position import Position
from mt.workflow.stage import External, Stage
from mt.workflow.store import Store, write_json
from mt.workflow.work import NullObserver
from tests.analysis.report.fixture_stages import (
    SECTIONS,
    ContrastPairs,
    GoldRewards,
    Prompts,
    Sample,
    Score,
    SelectPairs,
    SupervisedFinetune,
    TrainPolicy,
    TrainReward,
    UnionPairs,
    WorldBenchmark,
)

_MODELS = {"SupervisedFinetune": "policy", "TrainPolicy": "policy", "TrainReward": "reward"}


@dataclass
class Outline:
    """Collects targets and labels while an algorithm is written down."""

    targets: list[Stage] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)

    def put(self, place: Position, stage: Stage) -> Stage:
        model = _MODELS.get(type(stage).__name__, "")
        model = stage.fingerprint if isinstance(stage, External) else model
        self.positions.setdefault(stage.key, replace(place, model=model))
        self.targets.append(stage)
        return stage


def mutual_taught(size: int, rm_data: str = "both", objective: str = "dpo", words: int = 4, extra: str = "") -> Plan:
    """Return the plan of two iterations over `size` prompts a part, with evaluation on `size` more.

    `words` are in every response; `extra` ends every prompt and every response.
    """
    put = (outline := Outline()).put
    base, evaluation = Position(step="base"), Position(step="evaluation")
    policy, reward = (
        put(base, SupervisedFinetune(0)),
        put(base, TrainReward(SupervisedFinetune(0), Prompts("human", 4))),
    )
    r0, held_out = reward, put(evaluation, Prompts("eval", size, extra))
    parts = {name: put(base, Prompts(name, size, extra)) for name in ("D1", "D2", "DR")}
    held_out_pairs = put(evaluation, WorldBenchmark(4))
    old = put(Position(iteration=1, step="M-step"), Sample(policy, parts["DR"], 0, words, extra))
    _evaluate(put, 0, policy, [reward], held_out, words, extra)
    put(evaluation, Score(r0, held_out_pairs, 0))
    for t in (1, 2):
        step = Position(iteration=t, step="E-step")
        samples = put(step, Sample(policy, parts[f"D{t}"], t - 1, words, extra))
        pairs = put(step, SelectPairs(samples, put(step, Score(reward, samples, t - 1))))
        policy = put(step, TrainPolicy(policy, pairs, objective))
        step = Position(iteration=t, step="M-step")
        new = put(step, Sample(policy, parts["DR"], t, words, extra))
        pm = SelectPairs(new, Score(reward, new, t))
        contrast = ContrastPairs(new, old)
        data = {"both": UnionPairs((pm, contrast)), "pm": pm, "contrast": contrast}[rm_data]
        reward = put(step, TrainReward(r0, data))
        for stage in plan([data]).order:
            outline.positions.setdefault(stage.key, step)
        _evaluate(put, t, policy, [r0, reward], held_out, words, extra)
        old = new
    return plan(outline.targets, outline.positions)


def own_models(size: int, folder: Path) -> Plan:
    """Return the plan of one E-step on models and prompts of the user's: no gold, no sections, no benchmark."""
    put = (outline := Outline()).put
    base, models = Position(step="base"), ("policy", "reward")
    policy, reward = (put(base, External(fingerprint=name, location=folder)) for name in models)
    prompts = put(base, Prompts("own", size, sections=False))
    step = Position(iteration=1, step="E-step")
    for t in (0, 1):
        samples = put(step, Sample(policy, prompts, t))
        rewards = put(step, Score(reward, samples, t))
        pairs = SelectPairs(samples, rewards)
        policy = put(step, TrainPolicy(policy, pairs))
    return plan(outline.targets, outline.positions)


def _evaluate(put: Any, t: int, policy: Stage, rewards: list[Stage], held_out: Stage, words: int, extra: str) -> None:
    step = Position(iteration=t, step="evaluation")
    samples = put(step, Sample(policy, held_out, t, words, extra))
    put(step, GoldRewards(samples, t))
    for number, reward in enumerate(rewards):
        put(step, Score(reward, samples, t + number))


RATES = (0.5, 0.61, 0.68)
"""Gold win rate of π₀, π₁, π₂ in the record."""


def metrics(offset: float = 0.0, iterations: int = 2) -> list[dict[str, Any]]:
    """Return the metrics of a run; `offset` moves the win rate, as another seed would."""
    return [row for t in range(iterations + 1) for row in _measured(t, RATES[t] + offset)]


def _measured(t: int, rate: float) -> list[dict[str, Any]]:
    sections = [section.lower().replace(" ", "_") for section in SECTIONS]
    found = [
        ("policy", Metric("proxy", "mean_reward_base", 2.0 + t, 1.9 + t, 2.1 + t, 500)),
        ("policy", Metric("proxy", "win_rate_base", rate + 0.1, rate + 0.08, rate + 0.12, 500)),
        ("policy", Metric("proxy", "length", 20.0 + t, 19.0 + t, 21.0 + t, 500)),
        ("policy", Metric("diagnostics", "length_correlation", 0.05 + 0.2 * t, None, None, 500)),
        ("policy", Metric("gold", "win_rate", rate, rate - 0.02, rate + 0.02, 500)),
        ("policy", Metric("gold", "mean_reward", 0.2 + t / 10, 0.19 + t / 10, 0.21 + t / 10, 500)),
        ("policy", Metric("gold", "length", 5.0 + t, 4.9 + t, 5.1 + t, 500)),
        ("reward", Metric("gold", "accuracy", 0.8 + t / 100, 0.78 + t / 100, 0.82 + t / 100, 500)),
        *(("reward", Metric("gold", f"accuracy_{name}", 0.8, None, None, 100)) for name in sections),
    ]
    if t:
        found += [
            ("reward", Metric("same_responses", "accuracy_base", 0.79, 0.77, 0.81, 500)),
            ("reward", Metric("same_responses", "accuracy_previous", 0.795, 0.775, 0.815, 500)),
            ("reward", Metric("same_responses", "gain_over_base", 0.01 * (t + 1), 0.002, 0.04, 500)),
            ("policy", Metric("labels", "selected_accuracy", 0.9 - t / 10, 0.85 - t / 10, 0.95 - t / 10, 500)),
            ("policy", Metric("labels", "contrast_accuracy", 0.7 - t / 10, 0.65 - t / 10, 0.75 - t / 10, 500)),
        ]
    return [{"iteration": t, "model": model, **asdict(metric)} for model, metric in found]


def make_run(root: Path, planned: Plan, name: str = "demo", **changes: Any) -> Path:
    """Execute a plan in `root/store` and write the record of its run; `changes` replace fields of the record."""
    store, missing = Store(root / "store"), {stage.key for stage in planned.missing(Store(root / "store"))}
    for stage in planned.order:
        if stage.key in missing:
            compute(stage, store, NullObserver(), OpenEngine())
    record = {
        **_record(name),
        "stages": [_row(planned, stage, store, missing) for stage in planned.order],
        **changes,
    }
    folder = root / "runs" / name
    write_json(folder / "record.json", record)
    return folder


def _row(planned: Plan, stage: Stage, store: Store, missing: set[str]) -> dict[str, Any]:
    external = isinstance(stage, External)
    facts = {} if external else json.loads((store.path(stage) / "artifact.json").read_text())
    return {
        "key": stage.key,
        "stage": stage.name,
        "position": planned.position(stage).data(),
        "path": str(store.path(stage)),
        "state": "computed" if stage.key in missing else "reused",
        "seconds": facts.get("seconds"),
        "counts": facts.get("counts", {}),
    }


def config() -> dict[str, Any]:
    """Return a resolved configuration, as far as the report reads it."""
    return {
        "iterations": 2,
        "rounds": 1,
        "seed": 0,
        "method": {"name": "mutual_taught"},
        "objective": {"name": "dpo", "beta": 0.1},
        "rm_data": {"name": "both"},
        "data": {"name": "world", "language": {"gold_margin": 0.05}},
    }


def _record(name: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": name,
        "sweep": None,
        "state": "finished",
        "config": config(),
        "git": {"commit": "0123456789abcdef", "branch": "main", "dirty": False},
        "packages": {"python": "3.11.7", "torch": "2.13.0"},
        "host": {"name": "here", "cpus": 2},
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:05:00+00:00",
        "error": None,
        "metrics": metrics(),
        "answers": {"policy": "The policy improved: as recorded.", "reward": "The reward model improved."},
        "command": "python -m mt.run",
    }  # fmt: skip
