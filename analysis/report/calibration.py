"""Calibration of the reward models: how often they are right at each level of confidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from analysis.report import tables
from analysis.report.charts import Axis, Chart, ChartKind, Series, rounded
from analysis.report.sets import ModelRewards, SampleSet, beside_gold
from mt.evaluation.calibration import Calibration
from mt.evaluation.calibration import calibration as measure
from mt.evaluation.statistics import wilson_interval
from mt.workflow.position import Position

GOLD_MARGIN = 0.05
"""Two responses count as a pair where their gold differs by more than this, unless the run's data say otherwise."""

MarginsAndGold = tuple[np.ndarray, np.ndarray]
"""(margin_B, outcome_B): difference of two rewards, and 1 where the first response is the better one."""


def charts(sets: Sequence[SampleSet], benchmarks: Sequence[SampleSet], gold_margin: float = GOLD_MARGIN) -> list[Chart]:
    """Return a chart of held-out pairs and one per policy whose samples gold judged; a series per reward model."""
    found: dict[tuple[Position, str], dict[str, list[MarginsAndGold]]] = defaultdict(lambda: defaultdict(list))
    for one, scores, gold in beside_gold(sets):
        found[one.policy_place, one.name][scores.name].append(_judged_pairs(scores, gold, gold_margin))
    held_out: dict[str, list[MarginsAndGold]] = defaultdict(list)
    for one in benchmarks:
        for scores in one.scores:
            held_out[scores.name].append(_known_pairs(scores))
    drawn = [_calibration("held-out pairs", held_out)]
    drawn += [_calibration(f"samples of {name}", by_model) for (_, name), by_model in sorted(found.items())]
    return [chart for chart in drawn if chart.series]


def _judged_pairs(scores: ModelRewards, gold: ModelRewards, gold_margin: float) -> MarginsAndGold:
    """Return all pairs of a prompt's responses that gold tells apart."""
    by_gold = tables.rewards_by_prompt(gold.table)
    parts = [
        np.stack([_differences(given), _differences(by_gold[prompt])])
        for prompt, given in tables.rewards_by_prompt(scores.table).items()
        if len(by_gold.get(prompt, [])) == len(given)
    ]
    margin, difference = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
    decided = (np.abs(difference) > gold_margin) & np.isfinite(margin)
    return margin[decided], (difference[decided] > 0).astype(float)


def _known_pairs(scores: ModelRewards) -> MarginsAndGold:
    """Return pairs whose first response is the better one."""
    given = tables.rewards_by_prompt(scores.table).values()
    margin = np.array([first - second for first, second in given], dtype=float)
    margin = margin[np.isfinite(margin)]
    return margin, np.ones(len(margin))


def _differences(values: Sequence[float]) -> np.ndarray:
    first, second = _pairs_of(len(values))
    array = np.asarray(values, dtype=float)
    return array[first] - array[second]


@cache
def _pairs_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n, 1)


def _calibration(what: str, by_model: Mapping[str, list[MarginsAndGold]]) -> Chart:
    joined = {name: [np.concatenate(side) for side in zip(*parts, strict=True)] for name, parts in by_model.items()}
    return Chart(
        title=f"Calibration on {what}",
        kind=ChartKind.RELIABILITY,
        x=Axis("predicted: σ(difference of rewards)", ".0%"),
        y=Axis("observed: the favourite is better", ".0%"),
        series=[
            _reliability(name, measure(margin, outcome))
            for name, (margin, outcome) in sorted(joined.items())
            if len(margin)
        ],
        note="On the diagonal the model is as sure as it is right; below it, over-confident.",
    )


def _reliability(name: str, found: Calibration) -> Series:
    bins = [one for one in found.bins if one.n]
    limits = [wilson_interval((one.accuracy or 0.0) * one.n, one.n) for one in bins]
    return Series(
        name=name,
        x=rounded([one.confidence for one in bins]),
        y=rounded([one.accuracy for one in bins]),
        low=rounded([limit.low for limit in limits]),
        high=rounded([limit.high for limit in limits]),
        n=[one.n for one in bins],
    )
