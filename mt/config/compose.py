"""From override strings to checked configurations: Hydra composes, pydantic checks, errors are put in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from mt.config.assembly import Assembler, hydra_at, override_key, override_parser
from mt.config.base import free_settings
from mt.config.contexts import within_context
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe, nearest

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class Composed:
    """One run of a command: its overrides and its checked configuration."""

    overrides: list[str]
    config: RunConfig


def compose_runs(overrides: Sequence[str], *, multirun: bool = False) -> list[Composed]:
    """Compose the runs of a command line; identical runs of a sweep appear once.

    Raises ConfigError with one line that names the field, its value, what is allowed and how to mend it.
    """
    register_resolvers()
    _refuse_malformed(overrides, multirun)
    found: dict[str, Composed] = {}
    with hydra_at(CONF):
        assembler = Assembler(set(groups()), set(free_settings(RunConfig)))
        for line in list(_expand(list(overrides))) if multirun else [list(overrides)]:
            one = Composed(line, _checked(_plain(assembler, line)))
            found.setdefault(repr(one.config.identity()), one)
    runs = list(found.values())
    if not multirun:
        _refuse_experiment(runs[0].config)
    return runs


def register_resolvers() -> None:
    """Make two kinds of values known to the files in conf/.

    `${at_scale:{paper: …, world: …}}` is a value per scale name or family; `${within_context:policy,2048}` is a
    length in tokens, or the policy's context where that is shorter.
    """
    OmegaConf.register_new_resolver("at_scale", _at_scale, replace=True)
    OmegaConf.register_new_resolver("within_context", _within_context, replace=True)


def options(group: str) -> list[str]:
    """Return the valid choices of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def groups() -> list[str]:
    """Return the names of the configuration groups."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")


def _refuse_malformed(overrides: Sequence[str], multirun: bool) -> None:
    """Refuse what does not follow the grammar, and several values where one run is asked for."""
    choices = groups()
    for line in overrides:
        key, equals, value = line.partition("=")
        if not key or not (equals or line.startswith("~")):
            raise ConfigError(describe("override", line, "not a setting", allowed="NAME=VALUE"))
        try:
            parsed = override_parser().parse_override(line)
        except HydraException as error:
            mend = f"""Put the value in quotes, and all in others: '{key}="{value}"'"""
            raise ConfigError(
                describe("override", line, f"cannot be read ({_first_line(error)})", mend=mend)
            ) from error
        if parsed.is_sweep_override():
            if not multirun:
                raise ConfigError(describe(key, value, "several values make a sweep", mend="Add -m"))
        elif override_key(line) in choices and not isinstance(parsed.value(), str | list) and line[0] != "~":
            raise ConfigError(_unknown_option(override_key(line), value))


def _at_scale(table: DictConfig, *, _root_: DictConfig) -> Any:
    for name in (_root_.scale.name, _root_.scale.family):
        if name in table:
            return table[name]
    raise ConfigError(describe("scale", _root_.scale.name, f"no value in {dict(table)}"))


def _within_context(model: str, length: int, *, _root_: DictConfig) -> int:
    return within_context(_root_[model].path, length)


def _plain(assembler: Assembler, overrides: list[str]) -> dict[str, Any]:
    try:
        return assembler.assemble(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, overrides)) from error


def _checked(values: dict[str, Any]) -> RunConfig:
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_describe_invalid(error, values)) from error


def _expand(overrides: list[str]) -> Iterator[list[str]]:
    """Yield the override lists of a sweep: the runs of its experiments, times the swept values."""
    names = [
        name for line in overrides if override_key(line) == "experiment" for name in line.split("=", 1)[1].split(",")
    ]
    given = [line for line in overrides if override_key(line) != "experiment"]
    if not names:
        yield from _product(given)
    for name in names:
        for line in _experiment_runs(name):
            kept = [part for part in line.split() if override_key(part) not in {override_key(other) for other in given}]
            yield from _product([*kept, *given, f"experiment={name}"])


def _product(overrides: list[str]) -> list[list[str]]:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    try:
        parsed = override_parser().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError(_explain(error, overrides)) from error
    batches = BasicSweeper.split_arguments(parsed, None)
    return [list(job) for batch in batches for job in batch]


def _experiment_runs(name: str) -> list[str]:
    if name not in options("experiment"):
        raise ConfigError(_unknown_option("experiment", name))
    return list(OmegaConf.load(CONF / "experiment" / f"{name}.yaml").experiment.runs)


def _refuse_experiment(config: RunConfig) -> None:
    if config.experiment is not None:
        name, count = config.experiment.name, len(config.experiment.runs)
        problem = f"it is {count} runs, and this command makes one"
        raise ConfigError(describe("experiment", name, problem, mend=f"Add -m: python -m mt.run -m experiment={name}"))


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Put a composition error in one line, with the nearest valid name where one was mistyped."""
    text = str(error)
    if option := re.search(r"Could not (?:find|load) '([\w/]+)/([^'/]+)'", text):
        return _unknown_option(option[1], option[2])
    if missing := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(missing[1], overrides)
    if key := re.search(r"Missing mandatory value: .*?full_key: ([\w.]+)", text, re.DOTALL):
        return describe(key[1], "???", "it has no value", mend=f"Add {key[1]}=VALUE")
    return describe("overrides", " ".join(overrides), _first_line(error), mend="See python -m mt.run --help")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _unknown_option(group: str, value: str) -> str:
    valid = options(group)
    return describe(group, value, "no such choice", allowed=", ".join(valid)) + nearest(value, valid)


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    value = next((line.partition("=")[2] for line in overrides if override_key(line) == key), "…")
    valid = [*_keys(), *groups()]
    if key in valid:  # of the default choices
        group = key.partition(".")[0]
        mend = f"Leave it out, or choose another {group}= (python -m mt.run --help {group}=NAME)"
        return describe(key, value, "the choices made here have no such setting", mend=mend)
    siblings = [name for name in valid if name.rpartition(".")[0] == key.rpartition(".")[0]]
    hint = nearest(key, siblings) or nearest(key, valid)
    return describe(key, value, "no such setting", mend="python -m mt.run --cfg job lists all settings") + hint


@lru_cache(maxsize=1)
def _keys() -> list[str]:
    """Return the dotted paths of all settings of the default configuration."""

    def walk(node: Any, prefix: str) -> Iterator[str]:
        for name, value in node.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{name}.")

    return list(walk(OmegaConf.to_container(compose("config"), resolve=False), ""))


def _describe_invalid(error: ValidationError, values: dict[str, Any]) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"] if not _is_tag(part, first["loc"], values))
    if first["type"] == "extra_forbidden":
        return describe(path, first["input"], "no such setting") + nearest(path, _keys())
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    value = "nothing" if first["type"] == "missing" else first["input"]
    return describe(path, value, first["msg"], mend=f"Set {path}=VALUE")


def _is_tag(part: str | int, path: tuple[str | int, ...], values: dict[str, Any]) -> bool:
    """Say whether a part of an error's path is the tag of a choice (objective → dpo → beta)."""
    index = path.index(part)
    node: Any = values
    for name in path[:index]:
        if isinstance(node, dict) and name in node:
            node = node[name]
    return index > 0 and isinstance(node, dict) and node.get("name") == part and part not in node
