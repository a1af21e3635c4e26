"""From one value per prompt to metrics with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mt.types import Metric


def mean_metrics(benchmark: str, values: Mapping[str, Sequence[float]]) -> list[Metric]:
    """Return each metric's mean with its 95% interval: Wilson's for a share, else Student's; nothing for no values."""
    from mt.evaluation.statistics import t_interval, wilson_interval

    metrics = []
    for name, found in values.items():
        if found:
            share = all(value in (0.0, 1.0) for value in found)
            interval = wilson_interval(sum(found), len(found)) if share else t_interval(found)
            low, high = (interval.low, interval.high) if interval else (None, None)
            metrics.append(Metric(benchmark, name, mean(found), low, high, len(found)))
    return metrics


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)


def win_rate(values: Sequence[float], base: Sequence[float]) -> float:
    """Return how often one of `values` is above one of `base`; a tie counts half."""
    return mean([(a > b) + 0.5 * (a == b) for a in values for b in base])
