"""Which runs a table shows: those that fit its rows, and agree in every setting that its columns depend on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.settings import identity, matches, typed
from analysis.spec import TableSpec
from mt.config.fields import is_within, setting

Scope = tuple[str, ...]
"""Runs that share a scope agree in the settings of that scope."""
Terms = dict[Scope, dict[str, Any]]
"""Settings by scope and path."""

_CHOICES = {
    "method": ("method", "iterations", "rounds"),
    "objective": ("objective", "policy.training"),
    "rm_data": ("rm_data",),
    "policy.checkpoint": ("policy.checkpoint",),
    "reward": ("reward",),
}
"""Choices that distinguish the rows of a table, each with the settings that come with it."""
_HELD_OUT = frozenset({"gold", "gold_base", "proxy", "same_responses", "labels", "diagnostics"})
"""Benchmarks that the held-out prompts measure."""
_JUDGED = frozenset({"alpaca_eval", "arena_hard", "in_distribution"})
"""Benchmarks that the run's judge decides."""


@dataclass(frozen=True)
class Group:
    """Runs that one table may show side by side, and how many of its rows they fill."""

    runs: tuple[str, ...]
    rows: int


class Groups:
    """The groups of runs that a table could show."""

    def __init__(
        self, spec: TableSpec, configs: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Sequence[str]]
    ) -> None:
        """Take the configurations by run, the newest run first, and the table's columns that each run measured."""
        self.spec, self.measured = spec, measured
        self.settings = {run: identity(config) for run, config in configs.items()}
        self.rows = {run: [row for row in spec.rows if fits(config, row.select)] for run, config in configs.items()}
        self.configs = {run: config for run, config in configs.items() if self.rows[run]}
        self.ages = {run: age for age, run in enumerate(self.configs)}

    @cached_property
    def ranked(self) -> list[Group]:
        """The groups, the one that fills most cells first, the newest among equals."""
        return self._ranked(self.configs)

    def flag(self, group: Group) -> str:
        """Return the shortest --where that makes a table of a group which is not the first."""
        own = [run for run in group.runs if run not in self.ranked[0].runs]
        sweeps = {run.rpartition("/")[0] for run in group.runs}
        found = sorted(self._differences(own), key=lambda one: (not one[0].endswith(".name"), one[0].count(".")))
        wheres = [(path, typed(value)) for path, value in found]
        wheres += [("sweep", sweep) for sweep in sweeps if sweep and len(sweeps) == 1]
        for path, value in wheres:
            kept = [run for run, one in self.configs.items() if _passes(run, one, path, value)]
            first = self._ranked(kept)[0]
            if set(own) <= set(first.runs) and first.rows == group.rows:
                return f"--where {shlex.quote(f'{path}={value}')}"
        return f"--where {shlex.quote('run=' + ','.join(group.runs))}"

    @cached_property
    def _terms(self) -> dict[str, Terms]:
        found: dict[str, Terms] = {}
        for run in self.configs:
            terms = found.setdefault(run, {})
            for path, value in self.settings[run].items():
                for scope in self._scopes(run, path):
                    terms.setdefault(scope, {})[path] = value
        return found

    def _scopes(self, run: str, path: str) -> Iterator[Scope]:
        """Yield where a setting has to agree: in its rows, under a choice, in a benchmark, in the table, or nowhere."""
        part, *rest = path.split(".")
        choice = next((name for name, parts in _CHOICES.items() if is_within(path, parts)), None)
        if part == "eval":
            if rest[0] in self._read or (rest[0] == "held_out" and self._read & _HELD_OUT):
                yield ("eval", rest[0])
        elif part == "judge":
            if self._read & _JUDGED:
                yield ("judge",)
        elif choice is None and path not in self._selected:
            yield ("table",)
        else:
            trained = [row for row in self.rows[run] if row.iteration > 0]  # the base models are everybody's
            yield from (("row", row.title) for row in trained)
            if path in self._selected:
                if trained and not any(path in (row.select or {}) for row in trained):
                    yield ("setting", path)
            elif choice is not None and path not in ("iterations", "rounds"):
                yield (choice, str(setting(self.configs[run], f"{choice}.name")))

    @cached_property
    def _read(self) -> set[str]:
        return {column.key[0] for column in self.spec.columns}

    @cached_property
    def _selected(self) -> set[str]:
        return {path for row in self.spec.rows for path in row.select or {}}

    def _ranked(self, runs: Iterable[str]) -> list[Group]:
        """Return the largest sets of runs that agree in all settings that they share."""
        sets: list[tuple[Terms, list[str]]] = []
        seen: list[str] = []
        for run in runs:
            own = self._terms[run]
            joined = [known for known in sets if _agree(known[0], own)]
            if not joined:  # a set of its own, with those of other sets that agree with it
                joined = [(dict(own), [])]
                sets += joined
                for other in seen:
                    if _agree(joined[0][0], self._terms[other]):
                        joined[0][0].update(self._terms[other])
                        joined[0][1].append(other)
            for terms, members in joined:
                terms.update(own)
                members.append(run)
            seen.append(run)
        found = [self._group(members) for _, members in sets]
        return sorted(found, key=lambda one: (-self._filled(one), self.ages[one.runs[0]]))

    def _group(self, members: Iterable[str]) -> Group:
        runs = tuple(sorted(members, key=self.ages.__getitem__))
        return Group(runs, len({row.title for run in runs for row in self.rows[run]}))

    def _filled(self, group: Group) -> int:
        """Return how many cells of the table a group fills."""
        return len({(row.title, name) for run in group.runs for row in self.rows[run] for name in self.measured[run]})

    def _differences(self, own: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield the settings that some runs share with each other, and with no run that is shown."""
        first, *others = [self.settings[run] for run in own]
        shown = [self.settings[run] for run in self.ranked[0].runs]
        for path, value in first.items():
            shared = all(one.get(path) == value for one in others) and not isinstance(value, list)
            if shared and any(self._scopes(own[0], path)) and all(one.get(path) != value for one in shown):
                yield path, value


def fits(config: Mapping[str, Any], select: Mapping[str, Any] | None) -> bool:
    """Say whether a run has the settings that a row declares; no run has those of a row of the paper's alone."""
    return select is not None and all(matches(setting(config, path), value) for path, value in select.items())


def _agree(one: Terms, other: Terms) -> bool:
    return all(one[scope] == settings for scope, settings in other.items() if scope in one)


def _passes(run: str, config: Mapping[str, Any], path: str, value: str) -> bool:
    return run.rpartition("/")[0] == value if path == "sweep" else matches(setting(config, path), value)
