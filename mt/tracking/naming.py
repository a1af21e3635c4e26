"""Names in a tracker: metric and stage names that sort as they happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mt.types import Metric
from mt.workflow.position import Position


def metric_values(model: str, metrics: Iterable[Metric]) -> dict[str, float]:
    """Return metrics under names like "policy/alpaca_eval/lc_win_rate", interval and count sorted beside each."""
    found: dict[str, float | None] = {}
    for metric in metrics:
        name = _flat(f"{model}/{metric.benchmark}/{metric.metric}")
        found |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high, f"{name}_n": metric.n}
    return {key: value for key, value in found.items() if value is not None}


def slugs(stages: Iterable[tuple[str, str, Position]]) -> dict[str, str]:
    """Return names by key for stages (key, name, position): unique within the run, and sorted by iteration."""
    found: dict[str, str] = {}
    for key, name, position in stages:
        slug = "/".join(filter(None, (position.slug, name)))
        found[key] = slug if slug not in found.values() else f"{slug}-{key[:6]}"
    return found


def curve_values(slug: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return a step of a training under "train/<stage>/<metric>"."""
    return {f"train/{slug}/{_flat(name)}": value for name, value in metrics.items()}


def curve_axis(slug: str) -> str:
    """Return the name of a training's own steps."""
    return f"train/{slug}/step"


def _flat(name: str) -> str:
    """Return a name without dots: W&B takes "a.b" for b inside of a, and then repeats stale steps."""
    return name.replace(".", "_")
