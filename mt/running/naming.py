"""Names of runs and sweeps: readable, and equal only for equal settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mt.config.compose import Composed
from mt.config.run import RunConfig
from mt.workflow.keys import digest

DETAILS = "--details"
"""The flag of `mt.run` that changes what is printed, and nothing of the run."""


def command_line() -> list[str]:
    """Return the command that this process was started by, without what changes its display alone."""
    shown = [word for word in sys.argv[1:] if len(word) > 2 and DETAILS.startswith(word)]  # flags may be abbreviated
    return ["python", "-m", "mt.run", *(word for word in sys.argv[1:] if word not in shown)]


def run_name(config: RunConfig) -> str:
    """Return the run's given name, or method, objective, reward, reward data, data, seed and a hash of all settings."""
    if config.name:
        return config.name
    parts = [getattr(config, group).name for group in distinguishing_groups(config)]
    return "-".join([*parts, f"s{config.seed}", digest(config)[:6]])


def distinguishing_groups(config: RunConfig) -> list[str]:
    """Return the groups whose choices distinguish runs: `reward` unless it is a plain reward model, `rm_data` if the
    reward model is retrained, and `data` unless it is the world.
    """
    reward = [] if config.reward.is_model else ["reward"]
    rm_data = ["rm_data"] if config.method.retrains_reward else []
    return ["method", "objective", *reward, *rm_data, *(["data"] if config.data.name != "world" else [])]


def sweep_name(runs: Sequence[Composed]) -> str:
    """Return the sweep's given name, or that of its experiment, with a hash of its runs' settings."""
    first = runs[0].config
    if first.sweep:
        return first.sweep
    stem = first.experiment.name if first.experiment else "sweep"
    return f"{stem}-{digest([digest(run.config) for run in runs])[:6]}"


def run_folder(config: RunConfig, sweep: str | None = None) -> Path:
    """Return the folder of a run's record."""
    sweep = sweep or config.sweep
    return Path(config.runs) / sweep / run_name(config) if sweep else Path(config.runs) / run_name(config)
