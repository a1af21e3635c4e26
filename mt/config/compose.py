"""From override strings to checked configurations: Hydra composes, pydantic checks, errors are put in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from mt.config.assembly import Assembler, hydra_at, unresolved
from mt.config.choices import CONF as CONF  # for those who read its files
from mt.config.choices import SearchPath
from mt.config.overrides import check_count, check_overrides, expand, override_key, swept
from mt.config.refusals import (
    refuse_booleans_as_numbers,
    refused_by_hydra,
    refused_by_pydantic,
    unknown_setting,
)
from mt.config.run import RunConfig
from mt.engines.contexts import within_context
from mt.engines.shapes import count_weights, family_of
from mt.errors import ConfigError, describe, first_line
from mt.runtime.machine import memory_here

PACKAGE = SearchPath()


@dataclass(frozen=True)
class Composed:
    """One run of a command: its overrides and its checked configuration."""

    overrides: list[str]
    config: RunConfig
    left_out: tuple[str, ...] = ()
    """Overrides of the command that this run's choices have no setting for; other runs of the sweep have."""


def compose_runs(overrides: Sequence[str], *, multirun: bool = False, path: SearchPath = PACKAGE) -> list[Composed]:
    """Compose the runs of a command line; identical runs of a sweep appear once.

    In a sweep a setting reaches the runs whose choices have it (`method.eft` those of Meta-Rewarding); one that no run
    has is refused.

    Raises ConfigError with one line that names the field, its value, what is allowed and how to fix it.
    """
    register_resolvers()
    check_overrides(overrides, path, several="" if multirun else "Add -m")
    found: dict[str, Composed] = {}
    unknown: dict[str, _UnknownSetting] = {}
    taken: set[str] = set()
    with hydra_at(path):
        assembler = Assembler(set(path.groups()))
        for line in _sweep(list(overrides), path) if multirun else [list(overrides)]:
            values, left_out = None, list[str]()
            while values is None:
                try:
                    values = _plain(assembler, line, path)
                except _UnknownSetting as error:
                    if not multirun:
                        raise ConfigError(error.line(path)) from error
                    unknown.setdefault(error.key, error)
                    left_out += [word for word in line if override_key(word) == error.key]
                    line = [word for word in line if override_key(word) != error.key]
            taken.update(map(override_key, line))
            one = Composed(line, _checked(values, line), tuple(left_out))
            found.setdefault(repr(one.config.identity()), one)
        for key, refusal in unknown.items():
            if key not in taken:
                raise ConfigError(refusal.line(path)) from refusal
    runs = list(found.values())
    if not multirun and (asked := runs[0].config.experiment) is not None:
        problem = f"it is {len(asked.runs)} runs, and this command makes one"
        fix = f"Add -m: python -m mt.run -m experiment={asked.name}"
        raise ConfigError(describe("experiment", asked.name, problem, fix=fix))
    return runs


def partial_settings(runs: Sequence[Composed]) -> list[str]:
    """Return a line for each setting of a sweep that only some of its runs have."""
    words = dict.fromkeys(word for run in runs for word in run.left_out)
    reached = {word: sum(word not in run.left_out for run in runs) for word in words}
    text = "the others have no such setting"
    return [f"{word} reaches {number} of {len(runs)} runs: {text}" for word, number in reached.items()]


def compose_unchecked(overrides: Sequence[str], path: SearchPath = PACKAGE, *, hydra: bool = False) -> DictConfig:
    """Compose one configuration as Hydra does, interpolations unresolved and values unchecked.

    Args:
        overrides: The words of a command line.
        path: Where its choices lie.
        hydra: Keep Hydra's own settings.

    Raises ConfigError with one line.
    """
    register_resolvers()
    check_overrides(overrides, path, several="Give one value")
    with hydra_at(path):
        try:
            return unresolved(overrides, path.groups(), hydra=hydra)
        except Exception as error:  # as in _plain
            raise ConfigError(refused_by_hydra(error, overrides, path)) from error


def register_resolvers() -> None:
    """Make five kinds of values known to the files in conf/.

    `${at_scale:{paper: …, world: …}}` is a value per scale name or family; `${within_context:policy,2048}` is a
    length in tokens, or the policy's context where that is shorter; `${weights_of:policy}` is how many weights the
    policy's folder has, or null, and `${family_of:N,world}` the family of so many, or the world's for null.
    `${memory_here:}` is this machine's memory in GiB.
    """
    OmegaConf.register_new_resolver("at_scale", _at_scale, replace=True)
    OmegaConf.register_new_resolver("within_context", _within_context, replace=True)
    OmegaConf.register_new_resolver("weights_of", _weights_of, replace=True)
    OmegaConf.register_new_resolver("family_of", family_of, replace=True)
    OmegaConf.register_new_resolver("memory_here", memory_here, replace=True)


def options(group: str) -> list[str]:
    """Return the valid choices of a configuration group in conf/."""
    return PACKAGE.options(group)


def groups() -> list[str]:
    """Return the names of the configuration groups."""
    return PACKAGE.groups()


def _at_scale(table: DictConfig, *, _root_: DictConfig) -> Any:
    for name in (_root_.scale.name, _root_.scale.family, "paper"):  # the paper's where a family has no value of its own
        if name in table:
            return table[name]
    raise ConfigError(describe("scale", _root_.scale.name, f"no value in {dict(table)}"))


def _weights_of(model: str, *, _root_: DictConfig) -> int | None:
    path = _root_[model].path
    return count_weights(path) if isinstance(path, str) else None


def _within_context(model: str, length: int, *, _root_: DictConfig) -> int:
    path = _root_[model].path
    if not isinstance(path, str) or not isinstance(length, int):
        return length  # a value of the wrong type is refused later, by its own name
    try:
        return within_context(path, length)
    except OSError:  # no such path can exist, which is reported where the model is looked for
        return length


def _plain(assembler: Assembler, overrides: list[str], path: SearchPath) -> dict[str, Any]:
    try:
        return assembler.assemble(overrides)
    except ConfigError:
        raise
    except Exception as error:  # Hydra answers files and values that it does not expect with errors of any kind
        if key := unknown_setting(error):
            raise _UnknownSetting(key, error, overrides) from error
        raise ConfigError(refused_by_hydra(error, overrides, path)) from error


class _UnknownSetting(Exception):
    """The choices of a run have no setting of this name, which in a sweep other runs may have."""

    def __init__(self, key: str, error: Exception, overrides: list[str]) -> None:
        super().__init__(str(error))
        self.key, self._error, self._overrides = key, error, overrides

    def line(self, path: SearchPath) -> str:
        """Return the line that refuses it; this composes anew, to name the nearest setting that there is."""
        return refused_by_hydra(self._error, self._overrides, path)


def _checked(values: dict[str, Any], overrides: list[str]) -> RunConfig:
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(refused_by_pydantic(error, values, overrides)) from error
    refuse_booleans_as_numbers(config, values)
    return config


def _sweep(overrides: list[str], path: SearchPath) -> list[list[str]]:
    """Return the overrides of each run: the runs of the sweep's experiments, times the swept values."""
    names = [name for line in overrides if override_key(line) == "experiment" for name in swept(line, path)]
    given = [line for line in overrides if override_key(line) != "experiment"]
    found = [] if names else expand(given, path)
    for name in names:
        for line in [""] if name == "null" else _experiment_runs(name, path):
            kept = [part for part in line.split() if override_key(part) not in {override_key(other) for other in given}]
            check_overrides(kept, path)
            found += expand([*kept, *given, f"experiment={name}"], path)
            check_count(len(found), f"experiment={','.join(names)}")
    return found


def _experiment_runs(name: str, path: SearchPath) -> list[str]:
    file = path.file("experiment", name)
    try:
        runs = OmegaConf.load(file).experiment.runs
    except (OmegaConfBaseException, YAMLError, AttributeError) as error:
        raise ConfigError(f"{file}: no readable experiment ({first_line(error)}). See conf/experiment/") from error
    if not isinstance(runs, ListConfig) or not all(isinstance(line, str) for line in runs):
        raise ConfigError(describe("experiment.runs", runs, f"not a list of texts in {file}", fix="Correct the file"))
    return list(runs)
