"""From override strings to plain, resolved values, fast enough for sweeps of hundreds of runs.

Hydra takes a fifth of a second for one run. Here each file is read once, each combination of choices is composed
once, interpolations are resolved once for all runs that agree in what they refer to, and a plain value that nothing
refers to is set on a copy of the resolved result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import ConfigRepository  # see _Remembering for why a private class
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from mt.choice import Choice
from mt.config.choices import SearchPath, optional_values
from mt.config.fields import find, free_settings, group_class, is_nullable, is_within, setting
from mt.config.overrides import override_key, parse_override
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe

_ABSENT = object()


@contextmanager
def hydra_at(path: SearchPath) -> Iterator[None]:
    """Let Hydra compose from the files of a search path, reading each of them once."""
    GlobalHydra.instance().clear()
    first, *own = path.folders
    with initialize_config_dir(str(first), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        known = loader.get_search_path()
        for folder in own:  # where Hydra itself puts --config-dir: after the program's own files
            known.prepend(provider="command-line", path=f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
        loader.repository = _Remembering(known)
        yield


class _Remembering(ConfigRepository):
    """Hydra's repository of files, which hands out copies of what it has read before.

    Hydra offers no public way to keep parsed files from one composition to the next, which halves the time of a sweep
    over choices. This is the only private part of Hydra in use; a test notices where it is no longer what Hydra asks.
    """

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self._known: dict[str, ConfigResult | None] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Remembering:
        return self

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a file's content."""
        if config_path not in self._known:
            self._known[config_path] = super().load_config(config_path)
        return deepcopy(self._known[config_path])


def unresolved(overrides: Sequence[str], choices: Collection[str], *, hydra: bool = False) -> DictConfig:
    """Return the configuration that overrides compose to, interpolations as they are written.

    Raises what Hydra and OmegaConf raise.
    """
    rest, settings = _split(overrides, choices)
    config = compose("config", overrides=rest, return_hydra_config=hydra)
    free = set(free_settings(RunConfig, OmegaConf.to_container(config, resolve=False)))
    for key, value in settings.items():
        _set(config, key, value, free=is_within(key, free))
    return config


class Assembler:
    """Composes each combination of choices once, and sets the plain values of a sweep's runs on copies of it."""

    def __init__(self, choices: set[str]) -> None:
        """Take the names of the choices."""
        self._choices = choices
        self._composed: dict[tuple[str, ...], _Base] = {}

    def assemble(self, overrides: list[str]) -> dict[str, Any]:
        """Return the resolved configuration of one run as plain data; raises what Hydra and OmegaConf raise."""
        rest, settings = _split(overrides, self._choices)
        if tuple(rest) not in self._composed:
            self._composed[tuple(rest)] = _Base(compose("config", overrides=rest))
        return self._composed[tuple(rest)].with_values(settings)


class _Base:
    """One combination of choices, resolved once for each combination of the values that interpolations refer to."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config
        self._raw: Any = OmegaConf.to_container(config, resolve=False)
        self._free = set(free_settings(RunConfig, self._raw))
        self._words = _interpolated_words(self._raw)
        self._resolved: dict[str, dict[str, Any]] = {}

    def with_values(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the resolved configuration with these settings."""
        independent = {key: value for key, value in settings.items() if self._is_independent(key, value)}
        if any(isinstance(value, dict) for value in settings.values()):  # the order counts where parts are replaced
            independent = {}
        plain = deepcopy(self._resolve({key: value for key, value in settings.items() if key not in independent}))
        for key, value in independent.items():
            parent, _, last = key.rpartition(".")
            setting(plain, parent)[last] = value
        return plain

    def _resolve(self, settings: dict[str, Any]) -> dict[str, Any]:
        if repr(settings) not in self._resolved:
            config = deepcopy(self._config)
            for key, value in settings.items():
                _set(config, key, value, free=is_within(key, self._free))
            self._resolved[repr(settings)] = _resolved(config)
        return self._resolved[repr(settings)]

    def _is_independent(self, key: str, value: Any) -> bool:
        """Say whether a setting is a plain one that exists, has a value and that no interpolation can refer to."""
        parent, _, last = key.rpartition(".")
        node = setting(self._raw, parent)
        scalar = isinstance(value, int | float) or (isinstance(value, str) and "${" not in value)
        known = isinstance(node, dict) and last in node and not isinstance(node[last], dict | list)
        known = known and node[last] != "???"  # nothing can be resolved before it has one
        return scalar and known and not self._words.intersection(key.split("."))


def _split(overrides: Sequence[str], choices: Collection[str]) -> tuple[list[str], dict[str, Any]]:
    """Return what Hydra composes, and the values that are set afterwards, by setting."""
    values = [line for line in overrides if re.match(r"[\w.]+=", line) and override_key(line) not in choices]
    rest = [line for line in overrides if line not in values]
    return rest, {one.key_or_group: one.value() for one in map(parse_override, values)}


def _resolved(config: DictConfig) -> dict[str, Any]:
    # Every `at_scale` reads the family, itself an interpolation, whose parsing took a fifth of the time.
    family = OmegaConf.select(config, "scale.family")
    if family is not None:
        OmegaConf.update(config, "scale.family", family)
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _interpolated_words(value: Any) -> set[str]:
    """Return every word of every interpolation: more than the settings that they refer to, never fewer."""
    if isinstance(value, dict):
        return set().union(*(_interpolated_words(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_interpolated_words(item) for item in value))
    return set(re.findall(r"\w+", value)) | {"scale"} if isinstance(value, str) and "${" in value else set()


def _set(config: DictConfig, key: str, value: Any, *, free: bool) -> None:
    """Set an existing setting; an unknown one is an error, as in Hydra, unless it is `free`."""
    if not free:
        _refuse_inside_reference(config, key, value)
        _open_optional(config, key, value)
    if not free and OmegaConf.select(config, key, default=_ABSENT, throw_on_resolution_failure=False) is _ABSENT:
        parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
        names = list(parent) if isinstance(parent, DictConfig) else []  # `in parent` overlooks values of "???"
        path = key.split(".")
        # A choice inside of a group, such as reward.selection, has the fields that its class has.
        inner = len(path) > 2 and isinstance(parent, DictConfig)
        free = inner and find(RunConfig, path, OmegaConf.to_container(config, resolve=False)) is not None
        if path[-1] not in names and not free:
            raise ConfigCompositionException(f"Could not override '{key}'.")
    if not free:
        _refuse_value_of_group(config, key, value)
    OmegaConf.update(config, key, value, merge=True, force_add=free)


def _open_optional(config: DictConfig, key: str, value: Any) -> None:
    """Give an optional group that is null its values, where one of its fields or the name of a choice is to be set."""
    *parents, last = key.split(".")
    for depth in range(1, len(parents) + 1):
        group = ".".join(parents[:depth])
        if OmegaConf.select(config, group, default=_ABSENT, throw_on_resolution_failure=False) is not None:
            continue
        info = find(RunConfig, parents[:depth], OmegaConf.to_container(config, resolve=False))
        inner = group_class(info.annotation, None) if info is not None else None
        if inner is not None and issubclass(inner, Choice) and last != "name":
            raise ConfigError(describe(key, value, f"{group} is null", fix=f"Choose it first: {group}.name=NAME"))
        if inner is not None:
            file = f"{inner.GROUP}/{value}" if issubclass(inner, Choice) else parents[depth - 1]
            OmegaConf.update(config, group, optional_values(file), merge=True, force_add=True)


def _refuse_inside_reference(config: DictConfig, key: str, value: Any) -> None:
    """Refuse a part of a group that stands for another one, such as judge.logprobs: ${logprobs}."""
    node: Any = config
    *parents, _ = key.split(".")
    for depth, name in enumerate(parents, start=1):
        if not isinstance(node, DictConfig) or name not in node:
            return
        if OmegaConf.is_interpolation(node, name):
            written: Any = OmegaConf.to_container(node, resolve=False)
            group, other = ".".join(parents[:depth]), written[name].strip("${}")
            rest = key.removeprefix(group)
            fix = f"Set {other}{rest}, or all of {group}={{…}}"
            raise ConfigError(describe(key, value, f"{group} is the same as {other}", fix=fix))
        node = node[name]


def _refuse_value_of_group(config: DictConfig, key: str, value: Any) -> None:
    """Refuse a plain value in place of a group of settings, before an interpolation fails at it."""
    node = OmegaConf.select(config, key, throw_on_resolution_failure=False, throw_on_missing=False)
    if not isinstance(node, DictConfig) or isinstance(value, dict):
        return
    info = find(RunConfig, key.split("."), OmegaConf.to_container(config, resolve=False))
    if value is None and info is not None and is_nullable(info):
        return
    allowed = ", ".join(f"{key}.{name!s}" for name in node)
    raise ConfigError(describe(key, value, "a group of settings, which takes no value", allowed=allowed))
