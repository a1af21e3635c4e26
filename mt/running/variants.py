"""The variants of a sweep: runs that differ by seed alone are repetitions, runs with the same stages duplicates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mt.config.fields import keyed, keyed_paths, setting
from mt.config.run import RunConfig
from mt.running.naming import run_name
from mt.workflow.plan import Plan


class NamedRun(Protocol):
    """What is asked of a run: its name and its resolved configuration."""

    @property
    def name(self) -> str:
        """The run's name."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """Its settings."""
        ...


@dataclass(frozen=True)
class Described:
    """A run that is not there yet."""

    name: str
    config: Mapping[str, Any]


_SEEDS = frozenset({"seed", "world_seed"})
_BOOKKEEPING = frozenset({"name", "sweep", "runs", "store", "tracking", "launch", "experiment"})
_MEASURES = ("data", "eval", "judge", "scale")
_LONGEST = 6


def variant_names(runs: Sequence[NamedRun], *, compared: bool = True) -> list[str]:
    """Return a name for each run: what sets it apart ("rm_data=both"), seeds left out; "" for a single variant.

    Where too much sets them apart, a variant is named after the first of its runs. Where runs are `compared`, neither
    a benchmark that only some of them measure nor what changes no result sets any apart.
    """
    if len(runs) < 2:
        return [""] * len(runs)
    groups = sorted({name for run in runs for name in run.config} - _SEEDS - _BOOKKEEPING)
    parts: list[dict[str, str]] = [{} for _ in runs]
    for group in groups:
        values = _comparable(runs, group) if compared else [run.config.get(group) for run in runs]
        for part, said in zip(parts, _differences(group, values), strict=True):
            part.update(said)
    texts = [" ".join(f"{name}={value}" for name, value in part.items()) for part in parts]
    if all(len(part) <= _LONGEST for part in parts):
        return texts
    first = {text: run.name for text, run in reversed(list(zip(texts, runs, strict=True)))}
    taken = list(first.values())  # runs of several folders may have the same name
    return [first[text] if taken.count(first[text]) == 1 else text for text in texts]


def run_labels(runs: Sequence[NamedRun], variants: Sequence[str]) -> list[str]:
    """Return a short name for each run: its variant and its seeds, or its own name where those name two."""
    varied = [name for name in sorted(_SEEDS) if len({_text(run.config.get(name)) for run in runs}) > 1]
    labels = [
        " ".join([variant, *(f"{name}={run.config.get(name)}" for name in varied)]).strip()
        for run, variant in zip(runs, variants, strict=True)
    ]
    own = {run.name for run in runs}
    return [
        label if label and labels.count(label) == 1 and variant not in own else run.name
        for label, variant, run in zip(labels, variants, runs, strict=True)
    ]


def incomparable(runs: Sequence[NamedRun]) -> list[str]:
    """Return a warning of the settings of the measurement itself that differ between the runs, where some do."""
    found = [group for group in _MEASURES if len(set(map(_text, _comparable(runs, group)))) > 1]
    if not found:
        return []
    named = " and ".join([*([", ".join(found[:-1])] if found[1:] else []), found[-1]])
    return [f"The runs differ in {named}: numbers are not comparable across that difference, and none is averaged."]


def seeds(run: NamedRun) -> tuple[Any, ...]:
    """Return the seeds that distinguish a run from the others of its variant."""
    return tuple(run.config.get(name) for name in sorted(_SEEDS))


def _comparable(runs: Sequence[NamedRun], group: str) -> list[Any]:
    """Return the keyed settings of a group by run; of `eval`, those of the benchmarks that all runs measure."""
    values = [run.config.get(group) for run in runs]
    if any(value != values[0] for value in values):
        values = [keyed(value, RunConfig.model_fields.get(group)) for value in values]
    given = [value for value in values if value is not None]
    if group != "eval" or len(given) < len(values):
        return values
    common = [name for name in given[0] if all(value.get(name) is not None for value in given)]
    return [{name: value[name] for name in common} for value in given]


def _differences(group: str, values: Sequence[Any]) -> list[dict[str, str]]:
    """Return, per run, the settings of one group that differ: its name alone where the name says it all."""
    texts = [_text(value) for value in values]
    if len(set(texts)) == 1:
        return [{} for _ in values]
    given = [value for value in values if value is not None]
    if len(given) < len(values) and all(isinstance(value, Mapping) for value in given):
        found = iter(_differences(group, given))
        return [{group: "null"} if one is None else next(found) or {group: one.get("name", "set")} for one in values]
    if len(given) < len(values) or not all(isinstance(value, Mapping) for value in values):
        return [{group: value if isinstance(value, str) else _text(value)} for value in values]
    names = [value.get("name") for value in values]
    if None not in names and len(set(zip(names, texts, strict=True))) == len(set(names)):
        return [{group: str(name)} for name in names]
    fields = sorted({name for value in values for name in value})
    nested = [_differences(f"{group}.{name}", [value.get(name) for value in values]) for name in fields]
    return [{key: said for one in column for key, said in one.items()} for column in zip(*nested, strict=True)]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def duplicate_runs(runs: Iterable[tuple[RunConfig, Plan]]) -> list[str]:
    """Return a line for each group of runs with the same stages, naming the settings without effect on them."""
    groups: dict[frozenset[str], list[RunConfig]] = {}
    for config, plan in runs:
        groups.setdefault(frozenset(stage.key for stage in plan.order), []).append(config)
    lines = []
    for group in groups.values():
        if len(group) > 1:
            first, second, *others = map(run_name, group)
            names = f"{first}, {second} and {len(others)} more" if others else f"{first} and {second}"
            idle = ", ".join(_differing_choices(group))
            lines.append(f"{names}: the same stages, the same results; no effect on them: {idle}")
    return lines


def _differing_choices(group: Sequence[RunConfig]) -> list[str]:
    """Return the choices in which runs differ, as a command line names them."""
    runs = [(keyed_paths(config), config.model_dump()) for config in group]
    said = [{path: setting(values, path) for path in paths} for paths, values in runs]
    paths = {path for one in said for path in one if any(one.get(path) != other.get(path) for other in said)}
    return sorted({path.split(".")[0] for path in paths})
