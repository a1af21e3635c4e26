"""Histograms of rewards and lengths, before training and after it, over all samples of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.report import tables
from analysis.report.charts import Axis, Chart, ChartKind, Series, rounded
from analysis.report.sets import SampleSet
from mt.workflow.position import Position

BINS = range(8, 41)
"""The fewest bins of a histogram, up to the most."""
_TAIL = 0.002
"""Share at each end that goes into the outermost bins, so that one outlier does not flatten the rest."""

Policy = tuple[Position, str]
"""(where the policy was trained, its name): sorts by age."""


def charts(sets: Sequence[SampleSet]) -> list[Chart]:
    """Return one chart of rewards per reward model and one of lengths, a series per policy."""
    lengths: dict[Policy, list[np.ndarray]] = defaultdict(list)
    rewards: dict[tuple[str, str], dict[Policy, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for one in sets:
        policy = (one.policy_place, one.name)
        lengths[policy].append(tables.flat_lengths(one.table))
        for scores in one.scores:
            rewards[scores.model, scores.name][policy].append(tables.flat_rewards(scores.table))
    drawn = [_rewards(name, by_policy) for (_, name), by_policy in rewards.items()]
    return drawn + ([_lengths(lengths, sets)] if lengths else [])


def _rewards(scorer: str, by_policy: Mapping[Policy, list[np.ndarray]]) -> Chart:
    who = "the gold judge" if scorer == "gold" else f"reward model {scorer}"
    alone = "" if len(by_policy) > 1 else f"Only one policy's samples were scored by {who}: nothing to compare."
    return Chart(
        title=f"Rewards given by {who}",
        kind=ChartKind.HISTOGRAM,
        x=Axis("reward", "~g"),
        y=Axis("share of responses", ".0%"),
        series=_series(by_policy),
        note=alone or "Prompts differ between steps of the algorithm, but come from one seeded partition.",
        group="Rewards",
    )


def _lengths(by_policy: Mapping[Policy, list[np.ndarray]], sets: Sequence[SampleSet]) -> Chart:
    return Chart(
        title="Lengths of responses",
        kind=ChartKind.HISTOGRAM,
        x=Axis("length (policy tokens)", "~g"),
        y=Axis("share of responses", ".0%"),
        series=_series(by_policy, whole=True),
        note="" if len({one.name for one in sets}) > 1 else "Only one policy was sampled: nothing to compare.",
        group="Lengths",
    )


def _series(by_policy: Mapping[Policy, list[np.ndarray]], whole: bool = False) -> list[Series]:
    """Return one series per policy on common bins, oldest first; the first is "before", the last "after"."""
    pooled = {policy: np.concatenate(parts) for policy, parts in sorted(by_policy.items())}
    pooled = {policy: values for policy, values in pooled.items() if len(values)}
    if not pooled:
        return []
    edges = bin_edges(np.concatenate(list(pooled.values())), bin_count(min(map(len, pooled.values()))), whole)
    middles = rounded([float(x) for x in (edges[:-1] + edges[1:]) / 2])
    last = len(pooled) - 1
    return [
        Series(
            name=name,
            x=middles,
            y=rounded(list(shares(values, edges)), 4),
            n=[len(values)],
            labels=[f"mean {values.mean():.4g}".replace("-", "−")],
            role="after" if index == last else "before" if index == 0 else "between",
        )
        for index, ((_, name), values) in enumerate(pooled.items())
    ]


def bin_count(n: int) -> int:
    """Return how many bins show n values without showing chance (Rice's rule, 2·∛n)."""
    return min(max(round(2 * n ** (1 / 3)), BINS[0]), BINS[-1])


def bin_edges(values: np.ndarray, bins: int, whole: bool = False) -> np.ndarray:
    """Return edges of at most `bins` equal bins; `whole` gives bins of whole width, centred on whole numbers."""
    low, high = (float(x) for x in np.quantile(values, [_TAIL, 1 - _TAIL], method="nearest"))
    if whole:
        width = max(1, int(np.ceil((high - low + 1) / bins)))
        return np.arange(low - 0.5, high + width + 0.5, width)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of values in each bin; what lies outside counts in the outermost bins."""
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
    return np.histogram(inside, edges)[0] / len(values)
