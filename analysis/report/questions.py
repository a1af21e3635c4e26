"""One chart for each question: did policy and reward model improve, are the pairs right that they learn from?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.report.charts import Axis, Chart, ChartKind, Series, rounded
from analysis.report.metrics import Measured, average, key_of, results_of
from analysis.report.record import Run
from mt.evaluation.catalogue import capitalised, quantity
from mt.running.results import MetricKey, Results
from mt.running.variants import seeds
from mt.running.warnings import after

Repeated = Mapping[int, Mapping[tuple[Any, ...], Measured]]
"""What the runs of a variant measured, by iteration and seeds."""


@dataclass(frozen=True)
class Question:
    """A chart: the metrics that answer the question, each with the name of its line, and where no answer would lie."""

    title: str
    unit: str
    lines: Mapping[MetricKey, str]
    compared: tuple[MetricKey, ...]
    """The metrics that stand for the others where several variants share the chart; the second one is dashed."""
    neutral: float | None = None
    note: str = ""
    joined: bool = True
    """Whether one iteration compares with the next."""


_RATE, _BY_BASE = ("policy", "gold", "win_rate"), ("policy", "proxy", "win_rate_base")
_LENGTH = ("policy", "diagnostics", "length_correlation")
_LC = ("policy", "alpaca_eval", "lc_win_rate")
_OWN, _GAIN = ("reward", "gold", "accuracy"), ("reward", "same_responses", "gain_over_base")
_SELECTED, _CONTRAST = ("policy", "labels", "selected_accuracy"), ("policy", "labels", "contrast_accuracy")
QUESTIONS = (
    Question(
        "Did the policy improve?",
        "share of comparisons won",
        {_RATE: "against π₀, by gold", _LC: "against AlpacaEval's baseline", _BY_BASE: "against π₀, by r₀ (a proxy)"},
        (_RATE, _BY_BASE),
        0.5,
        "At the dotted line neither side is better. r₀ is a proxy: over-optimisation raises it, too.",
    ),
    Question(
        "Did the reward model improve?",
        "pairs ordered like gold",
        {
            ("reward", "same_responses", "accuracy_base"): "r₀",
            ("reward", "same_responses", "accuracy_previous"): "rₜ₋₁",
            _OWN: "rₜ",
        },
        (_GAIN,),
        0.5,
        "All models of one iteration judge the same responses, those of πₜ. Compare them within an iteration only: "
        "from one to the next the responses change, and with them how hard they are to tell apart.",
        joined=False,
    ),
    Question(
        "Are the pairs right that the models learn from?",
        "pairs right by gold",
        {
            _SELECTED: "selected for the policy",
            ("policy", "labels", "self_training_accuracy"): "self-training",
            _CONTRAST: "contrast",
        },
        (_SELECTED, _CONTRAST),
        0.5,
        "Chance is the dotted line.",
    ),
)
_WEAK, _STRONG = 0.1, 0.3
"""Correlations of reward with length that are worth a word, and a warning."""


def charts(runs: Sequence[Run], variants: Sequence[str]) -> list[Chart]:
    """Return a chart for each question that something was measured of."""
    values: dict[tuple[str, MetricKey], dict[int, dict[tuple[Any, ...], Measured]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for run, variant in zip(runs, variants, strict=True):
        for row in run.metrics:
            values[variant, key_of(row)][int(row["iteration"])][seeds(run)] = row
    return [chart for one in QUESTIONS if (chart := _chart(one, values, list(dict.fromkeys(variants)))).series]


def remarks(run: Run) -> list[tuple[str, bool]]:
    """Return what else the numbers of a run say, and whether it is a warning: those that its end printed, too."""
    results = results_of(run)
    warned = [(f"{capitalised(line)}.", True) for line in after({"stages": [], **run.record}, results)]
    return [*warned, *_length(results)]


def _length(results: Results) -> Iterator[tuple[str, bool]]:
    """Say what the correlation of reward with length means, beside that of r₀ on π₀'s responses."""
    measured = {i: metric for i in sorted(results.found) if (metric := results.metric(i, *_LENGTH))}
    if not measured:
        return
    last, base = measured[max(measured)], measured.get(0)
    form = quantity(*_LENGTH[1:]).format
    shown = f"{form.text(last.value)} {form.interval(last.low, last.high)}".strip()
    which = f"The rewards of the last reward model and the length of responses to one prompt correlate by {shown}"
    taught = "longer" if last.value > 0 else "shorter"
    degree = "strongly" if abs(last.value) >= _STRONG else "somewhat"
    meant = f"it {degree} prefers {taught} responses, which teaches the policy to write {taught} ones"
    other = f" (r₀ on π₀'s responses: {form.text(base.value)})" if base is not None and base is not last else ""
    text = f"{which}{other}: {meant if abs(last.value) >= _WEAK else 'length hardly matters to it'}."
    yield text, abs(last.value) >= _STRONG and abs(last.value) > (abs(base.value) if base else 0.0)


def _chart(one: Question, values: Mapping[tuple[str, MetricKey], Repeated], variants: Sequence[str]) -> Chart:
    alone = len(variants) == 1
    keys = dict(one.lines) if alone else {key: one.lines.get(key, "") for key in one.compared}
    series = [
        replace(
            _series(_named(variant, name, place), key, found),
            hue=None if alone else hue,
            dashed=not alone and place > 0,
        )
        for hue, variant in enumerate(variants)
        for place, (key, name) in enumerate(keys.items())
        if (found := values.get((variant, key)))
    ]
    changes = not alone and one.compared == (_GAIN,)
    return Chart(
        title=one.title,
        kind=ChartKind.ITERATIONS,
        x=Axis("iteration", "d"),
        y=Axis("accuracy, rₜ − r₀" if changes else one.unit, ".0%"),
        series=series,
        neutral=0.0 if changes else one.neutral,
        joined=one.joined or not alone,
        note=one.note if alone else f"{quantity(*one.compared[0][1:]).title}: one line a variant. {one.note}",
    )


def _named(variant: str, name: str, place: int) -> str:
    return name if not variant else f"{variant}: {name}" if place else variant


def _series(name: str, key: MetricKey, found: Repeated) -> Series:
    points = [average(list(found[iteration].values())) for iteration in sorted(found)]
    form = quantity(*key[1:]).format
    y, lows, highs = (  # as shares, whether they are recorded as such or in percent
        rounded([None if side is None else form.bounded(side) * form.scale / 100 for side in column])
        for column in zip(*(point[:3] for point in points), strict=True)
    )
    return Series(name, sorted(found), y, lows, highs, [point[3] for point in points])
