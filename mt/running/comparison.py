"""Runs against each other: differences in pairs, by iteration, for the policy and for the reward model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mt.engines.judging.base import judged_by
from mt.errors import DataError, StoreError
from mt.evaluation.catalogue import quantity
from mt.evaluation.pairing import Difference, over_seeds, unpaired
from mt.running.results import MetricKey, Results, difference
from mt.running.variants import incomparable, seeds, variant_names
from mt.runtime.text import shortened
from mt.types import Metric
from mt.workflow.run_record import find_records, read_record

_SHOWN = 5
"""Runs that are named of those left out."""
_GAIN: MetricKey = ("reward", "same_responses", "gain_over_base")
_ACCURACY: MetricKey = ("reward", "gold", "accuracy")
COMPARED: tuple[MetricKey, ...] = (
    ("policy", "gold", "win_rate"),
    ("policy", "gold", "mean_reward"),
    ("policy", "alpaca_eval", "lc_win_rate"),
    ("policy", "arena_hard", "score"),
    ("policy", "proxy", "win_rate_base"),
    _GAIN,
    ("reward", "preferences", "accuracy"),
    ("reward", "gold_base", "accuracy"),
    ("reward", "reward_bench", "average"),
    ("reward", "reward_bench_2", "average"),
)
"""The metrics that are compared, where runs measured them. Those of a reward model are measured on responses that the
run's own policies did not write, or are gains over r_0 on the same responses.
"""


@dataclass(frozen=True)
class RecordedRun:
    """A finished run, from its record."""

    name: str
    config: Mapping[str, Any]
    results: Results

    @property
    def retrains(self) -> bool:
        """Whether its reward model was updated."""
        return any(key[1] == "same_responses" for cells in self.results.found.values() for key in cells)


@dataclass(frozen=True)
class Variant:
    """Runs that differ by seed alone."""

    name: str
    runs: Mapping[tuple[Any, ...], RecordedRun]
    """The runs by their seeds."""

    @property
    def last(self) -> int:
        """The last iteration that all of its runs measured."""
        return min(run.results.last for run in self.runs.values())

    def value(self, iteration: int, key: MetricKey) -> Metric | None:
        """Return a metric: the run's own, or the mean over seeds with its interval."""
        found = [metric for run in self.runs.values() if (metric := _metric(run, iteration, key))]
        if len(found) < 2:
            return found[0] if found else None
        mean = over_seeds([metric.value for metric in found])
        assert mean is not None
        form = quantity(*key[1:]).format
        low, high = (None if side is None else form.bounded(side) for side in (mean.low, mean.high))
        return Metric(key[1], key[2], mean.value, low, high, mean.n)

    def minus(self, other: Variant, iteration: int, key: MetricKey) -> Difference | None:
        """Return the difference to another variant: over the seeds that both have, or over items for one seed."""
        common = [seed for seed in self.runs if seed in other.runs]
        found = [_difference(self.runs[seed], other.runs[seed], iteration, key) for seed in common]
        differences = [one for one in found if one is not None]
        if len(differences) > 1:
            return over_seeds([one.value for one in differences])
        return differences[0] if differences else None


@dataclass(frozen=True)
class VariantComparison:
    """Variants of runs, the first of which the others are compared with, and what was left out."""

    variants: Sequence[Variant]
    notes: Sequence[str]

    @property
    def reference(self) -> Variant:
        """What the others are compared with."""
        return self.variants[0]

    @cached_property
    def keys(self) -> list[MetricKey]:
        """What some run of the reference measured after its first training."""
        found = [key for key in COMPARED if any(self.reference.value(t, key) for t in self.iterations)]
        return [key for key in found if key[1] != "proxy" or not set(COMPARED[:2]).intersection(found)]

    def apart(self, variant: Variant) -> str:
        """Return why a variant cannot be compared with the reference; empty where it can."""
        if variant is self.reference or any(
            variant.minus(self.reference, t, k) for t in self.iterations for k in self.keys
        ):
            return ""
        other = next(iter(self.reference.runs.values())).name
        if set(variant.runs).isdisjoint(self.reference.runs):
            return f"has another seed than {other}"
        return f"measured nothing that {other} did"

    @property
    def judges(self) -> list[str]:
        """Who judged what is compared, each with whose prompt it read; none where nothing is a judge's."""
        if not {"alpaca_eval", "arena_hard"} & {benchmark for _, benchmark, _ in self.keys}:
            return []
        configs = (run.config for variant in self.variants for run in variant.runs.values())
        return sorted({judged_by(config["judge"]) for config in configs})

    @property
    def iterations(self) -> range:
        """The iterations after the base models that at least one variant has."""
        return range(1, max(one.last for one in self.variants) + 1)

    def rows(self, keys: Sequence[MetricKey]) -> Iterator[tuple[str, int, list[Metric | Difference | None]]]:
        """Yield (variant, iteration, cells): the reference's metrics, then the other variants' differences to them."""
        for iteration in (0, *self.iterations):
            yield self.reference.name, iteration, [self.reference.value(iteration, key) for key in keys]
        for one in self.variants[1:]:
            for iteration in self.iterations:
                yield one.name, iteration, [one.minus(self.reference, iteration, key) for key in keys]

    def data(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "reference": self.reference.name,
            "notes": list(self.notes),
            "variants": [{"name": one.name, "runs": [run.name for run in one.runs.values()]} for one in self.variants],
            "differences": [
                {
                    "variant": name, "iteration": iteration, "model": model, "benchmark": benchmark,
                    "metric": metric, "difference": found.value, "low": found.low, "high": found.high,
                    "n": found.n, "over": found.over,
                }
                for name, iteration, cells in self.rows(self.keys)
                for (model, benchmark, metric), found in zip(self.keys, cells, strict=True)
                if isinstance(found, Difference)
            ],
        }  # fmt: skip


def compare(folders: Iterable[Path], *, named: bool = True) -> VariantComparison:
    """Return the comparison of the finished runs in folders, each a run's or a sweep's.

    The first run's variant is the reference where runs are named; of a sweep it is the one whose reward model is
    frozen, where there is exactly one. Raises DataError where no run is finished.
    """
    runs: list[RecordedRun] = []
    left: list[str] = []
    for path in dict.fromkeys(path for folder in folders for path in find_records(folder)):
        try:
            record = read_record(path)
        except StoreError as error:
            left.append(str(error))
            continue
        if record["state"] == "finished":
            runs.append(RecordedRun(record["name"], record["config"], Results.of_record(record, path)))
        else:
            left.append(f"{path.name} is {record['state']}")
    if not runs:
        problem = f"no finished run among them{''.join(f' ({note})' for note in _left_out(left))}"
        raise DataError(f"{problem}. Name finished runs, or a sweep that has some.")
    found = _grouped(runs, named=named)
    while apart := {one.name: why for one in found.variants if (why := found.apart(one))}:
        left += [
            f"{run.name} {apart[one.name]}" for one in found.variants if one.name in apart for run in one.runs.values()
        ]
        runs = [run for run, name in zip(runs, variant_names(runs), strict=True) if name not in apart]
        found = _grouped(runs, named=named)
    return replace(found, notes=[*incomparable(runs), *_uneven(found), *_left_out(left)])


def _uneven(found: VariantComparison) -> list[str]:
    """Return the note that names the variants of other seeds than the reference; none where all have the same."""
    seeds = found.reference.runs.keys()
    names = [one.name for one in found.variants if one.runs.keys() != seeds]
    both = "their differences are over the seeds that both have"
    return [f"Other seeds than {found.reference.name}: {', '.join(shortened(names, _SHOWN))}; {both}."] if names else []


def _left_out(reasons: Sequence[str]) -> list[str]:
    """Return the note that names what was left out, each with its reason; none where nothing was."""
    return [f"left out: {'; '.join(shortened(reasons, _SHOWN))}"] if reasons else []


def _grouped(runs: Sequence[RecordedRun], *, named: bool) -> VariantComparison:
    """Return the runs as variants, the reference first."""
    grouped: dict[str, dict[tuple[Any, ...], RecordedRun]] = {}
    for name, run in zip(variant_names(runs), runs, strict=True):
        members = grouped.setdefault(name or runs[0].name, {})
        same = members.get(seeds(run))  # it lies there twice, or each time measured other benchmarks
        members[seeds(run)] = replace(run, results=run.results.joined(same.results)) if same else run
    variants = [Variant(name, members) for name, members in grouped.items()]
    frozen = [one for one in variants if not any(run.retrains for run in one.runs.values())]
    if not named and len(frozen) == 1:
        variants = [*frozen, *(one for one in variants if one is not frozen[0])]
    return VariantComparison(variants, [])


def _metric(run: RecordedRun, iteration: int, key: MetricKey) -> Metric | None:
    """Return a run's metric; a reward model that is never updated has gained nothing over itself."""
    found = run.results.metric(iteration, *key)
    if found is None and key == _GAIN and iteration and not run.retrains and run.results.metric(iteration, *_ACCURACY):
        return Metric(key[1], key[2], 0.0, 0.0, 0.0)
    return found


def _difference(first: RecordedRun, second: RecordedRun, iteration: int, key: MetricKey) -> Difference | None:
    one, two = _metric(first, iteration, key), _metric(second, iteration, key)
    if one is None or two is None:
        return None
    if key == _GAIN and not (first.retrains and second.retrains):  # the gain of the other is paired with r_0 already
        return replace(unpaired(one, two), over="items", n=one.n or two.n)
    return difference(first.results, iteration, second.results, iteration, *key)
