"""Records of runs as `mt.run` writes them, with known numbers, for every row of every table."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from analysis.spec import TableSpec
from analysis.specs import SPECS
from mt.config.compose import compose_runs

SECTIONS = ("chat", "chat_hard", "safety", "reasoning", "average")


@cache
def _base() -> dict[str, Any]:
    (composed,) = compose_runs([])
    return composed.config.model_dump(mode="json")


def config(select: Mapping[str, Any], seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the configuration of a run that a table's row selects."""
    found = copy.deepcopy(_base())
    found["judge"] = {"name": "gold"}
    settings = {"method.name": "mutual_taught", **select, "seed": seed, **changes}
    for path, value in settings.items():
        *parents, name = path.split(".")
        node = found
        for parent in parents:
            node = node[parent]
        node[name] = value[0] if isinstance(value, tuple) else value
    return found


def record(name: str, settings: Mapping[str, Any], metrics: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return a finished run's record."""
    return {
        "schema": 1, "name": name, "sweep": None, "state": "finished", "config": dict(settings),
        "command": f"python -m mt.run name={name}", "git": {"commit": "c" * 40, "dirty": False},
        "packages": {"torch": "2.13.0", "transformers": "5.19.0"}, "host": {}, "started": None, "finished": None,
        "error": None, "stages": [], "metrics": metrics, **changes,
    }  # fmt: skip


def write(runs: Path, one: Mapping[str, Any]) -> Path:
    """Write a record where `mt.run` would."""
    folder = runs / one["sweep"] / one["name"] if one.get("sweep") else runs / one["name"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "record.json"
    path.write_text(json.dumps(one))
    return path


def row(iteration: int, model: str, benchmark: str, metric: str, value: float, spread: float = 2.0) -> dict[str, Any]:
    """Return one metric with an interval."""
    low, high = value - spread, value + spread
    return {"iteration": iteration, "model": model, "benchmark": benchmark, "metric": metric,
            "value": value, "low": low, "high": high, "n": 100}  # fmt: skip


def measured(iterations: int, start: float, gain: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield every metric of the tables: base 50, growing by `gain` with each iteration, shifted by the seed."""
    for t in range(iterations + 1):
        level = start + seed + (gain + 0.1 * seed) * t
        yield row(t, "policy", "alpaca_eval", "lc_win_rate", level)
        yield row(t, "policy", "alpaca_eval", "win_rate", level - 1)
        yield row(t, "policy", "alpaca_eval", "avg_length", 1900 + 10 * t + seed)
        yield row(t, "policy", "arena_hard", "score", level - 20)
        yield row(t, "policy", "arena_hard", "avg_length", 560 + t)
        for index, section in enumerate(SECTIONS):
            yield row(t, "reward", "reward_bench", section, 80 + index + t + 0.1 * seed)
        for metric, value in (("win", 40 + t), ("tie", 30), ("lose", 30 - t), ("win_rate", 55 + t)):
            yield row(t, "reward", "in_distribution", metric, value)
        for metric, value in (("win", 45), ("tie", 30), ("lose", 25), ("win_rate", 60)) if t > 1 else ():
            yield row(t, "reward", "in_distribution", f"{metric}_vs_previous", value)
        for earlier in range(t):
            yield row(t, "policy", "pairwise", f"win_rate_vs_{earlier}", 50 + 5 * (t - earlier) + seed)


def measured_by_gold(iterations: int, gain: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what held-out prompts tell of each iteration in the world."""
    for t in range(iterations + 1):
        level = 0.5 + 0.01 * seed + 0.01 * (gain + seed) * t
        for benchmark, metric in (("gold", "win_rate"), ("gold", "mean_reward"), ("proxy", "mean_reward_base")):
            yield row(t, "policy", benchmark, metric, level, 0.02)
        yield row(t, "policy", "gold", "length", 4.0 - 0.1 * t)
        for kind in ("selected", "contrast") if t else ():
            yield row(t, "policy", "labels", f"{kind}_accuracy", 0.9 - 0.1 * t, 0.02)
        yield row(t, "reward", "gold", "accuracy", 0.8 - 0.05 * t, 0.02)


def runs_of(spec: TableSpec, seeds: range = range(3), **changes: Any) -> Iterator[dict[str, Any]]:
    """Yield a record for every run that a table needs; each experiment gains differently."""
    rows = [one for one in spec.rows if one.select and one.iteration]
    selected = {json.dumps(one.select, sort_keys=True): dict(one.select or {}) for one in rows}
    for number, select in enumerate(selected.values()):
        for seed in seeds:
            settings = config(select, seed, **changes)
            iterations = max(one.iteration for one in spec.rows if one.select == select)
            name = f"{spec.name}-{number}-s{seed}"
            metrics = list(measured(max(iterations, 1), 50, 1 + number, seed))
            if spec.name.startswith("study"):
                metrics += measured_by_gold(max(iterations, 1), 1 + number, seed)
            yield record(name, settings, metrics)


def write_runs(runs: Path, name: str, seeds: range = range(3), **changes: Any) -> Path:
    """Write the runs of a table; returns the folder."""
    for one in runs_of(SPECS[name], seeds, **changes):
        write(runs, one)
    return runs
