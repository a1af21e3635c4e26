"""Where a stage's rows and models come from: followed through the plan, nothing is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from mt.stages.sample import Sample
from mt.workflow.stage import Stage

_MODELS = frozenset({"policy", "base", "reward", "initial", "judge_model", "checkpoints"})
"""Fields that hold models; every other stage in a field is a table."""


def tables_behind(table: Stage) -> Iterator[Stage]:
    """Yield a table and every table that its rows come from, each once; models are not followed."""
    waiting, seen = [table], set[str]()
    while waiting:
        one = waiting.pop()
        if one.key not in seen:
            seen.add(one.key)
            yield one
            waiting.extend(tables_of(one))


def tables_of(stage: Stage) -> Iterator[Stage]:
    """Yield the tables that a stage reads."""
    for field in fields(stage):
        if field.name not in _MODELS:
            value: Any = getattr(stage, field.name)
            yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Stage))


def start_of(model: Stage) -> Stage:
    """Return the model that a trained model's first training started from, or the model itself."""
    while (before := getattr(model, "policy", None) or getattr(model, "initial", None)) is not None:
        model = before
    return model


def samplers(table: Stage) -> set[str]:
    """Return the keys of the policies that sampled responses of a table, or what their prompts were made of."""
    return {one.policy.key for one in tables_behind(table) if isinstance(one, Sample)}
