"""Runs of a sweep that ask for the same stages: they differ in settings that their method does not use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mt.config.fields import keyed_paths, setting
from mt.config.run import RunConfig
from mt.running.naming import run_name
from mt.workflow.plan import Plan


def duplicate_runs(runs: Iterable[tuple[RunConfig, Plan]]) -> list[str]:
    """Return a line for each group of runs with the same stages, naming the settings without effect on them."""
    groups: dict[frozenset[str], list[RunConfig]] = {}
    for config, plan in runs:
        groups.setdefault(frozenset(stage.key for stage in plan.order), []).append(config)
    return [_line(group) for group in groups.values() if len(group) > 1]


def _line(group: Sequence[RunConfig]) -> str:
    first, second, *others = (run_name(config) for config in group)
    names = f"{first}, {second} and {len(others)} more" if others else f"{first} and {second}"
    return f"{names}: the same stages, the same results; no effect on them: {', '.join(_differing(group))}"


def _differing(group: Sequence[RunConfig]) -> list[str]:
    """Return the choices in which runs differ, as a command line names them."""
    runs = [(keyed_paths(config), config.model_dump()) for config in group]
    said = [{path: setting(values, path) for path in paths} for paths, values in runs]
    paths = {path for one in said for path in one if any(one.get(path) != other.get(path) for other in said)}
    return sorted({path.split(".")[0] for path in paths})
