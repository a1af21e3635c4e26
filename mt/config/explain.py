"""What every choice and setting means: the first comment of each file in conf/, the docstrings of the classes here."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from mt.choice import Choice, Config
from mt.config.choices import SearchPath, optional_values
from mt.config.compose import PACKAGE, compose_unchecked
from mt.config.fields import allowed, find, group_class, is_within, listed, setting
from mt.config.overrides import override_key
from mt.config.refusals import refused_by_hydra, refused_choice
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe, nearest_setting


@dataclass(frozen=True)
class Explained:
    """A setting, its value, the values it may take (listed where they are finitely many), and its meaning."""

    path: str
    value: str
    listed: tuple[str, ...]
    allowed: str
    meaning: str


def choices(path: SearchPath = PACKAGE) -> dict[str, dict[str, str]]:
    """Return what each option of each group is, by the comment on top of its file."""
    return {group: {name: _headline(path.file(group, name)) for name in path.options(group)} for group in path.groups()}


def groups(path: SearchPath = PACKAGE) -> dict[str, str]:
    """Return what each group of choices decides, in the order of the fields."""
    order = list(RunConfig.model_fields)
    found = sorted(path.groups(), key=lambda name: order.index(name.partition(".")[0]))
    return {name: _meaning(name).rstrip(".") for name in found}


def _meaning(group: str) -> str:
    """Return the docstring of the field that a group of choices fills, such as "policy.checkpoint"."""
    *parents, last = group.split(".")
    info = find(RunConfig, parents, None)
    return _meanings((group_class(info.annotation, None) if info else None) or RunConfig).get(last, "")


def chosen_options(path: SearchPath = PACKAGE) -> dict[str, list[str]]:
    """Return the options of each group that a run has where its command names none."""
    values = _values((), path)
    made = {group: setting(values, group) for group in path.groups()}
    chosen = {group: value for group, value in made.items() if isinstance(value, dict)}
    return {group: [str(value["name"])] if "name" in value else list(value) for group, value in chosen.items()}


def all_settings(overrides: list[str], path: SearchPath = PACKAGE) -> list[Explained]:
    """Return every setting under these choices."""
    return list(_walk(RunConfig, _values(tuple(overrides), path), ""))


@lru_cache(maxsize=4)
def _values(overrides: tuple[str, ...], path: SearchPath) -> dict[str, Any]:
    composed = compose_unchecked(overrides, path)
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(refused_by_hydra(error, overrides, path)) from error
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def settings(paths: list[str], overrides: list[str], path: SearchPath = PACKAGE) -> list[Explained]:
    """Return the settings at and below the paths, under these choices; raises ConfigError for an unknown path."""
    known = all_settings(overrides, path)
    wanted = [*paths, *(override_key(line) for line in overrides)]
    groups = path.groups()
    for asked in paths:
        if asked not in groups and not any(is_within(one.path, [asked]) for one in known):
            group = asked.partition(".")[0]
            fix = f"Settings of one choice: --help {group}=NAME" if group in groups else ""
            prefixes = {".".join(one.path.split(".")[:depth]) for one in known for depth in range(1, 5)}
            hint = nearest_setting(asked, sorted(prefixes))
            raise ConfigError(describe("--help", asked, "no such setting", fix=fix) + hint)
    return [one for one in known if not wanted or is_within(one.path, wanted)]


def _walk(kind: type[Config], values: Any, prefix: str) -> Iterator[Explained]:
    for name, info in kind.model_fields.items():
        value = values.get(info.alias or name) if isinstance(values, dict) else None
        inner = _class_of(info, value, prefix + name)
        if inner is not None and isinstance(value, dict):
            yield from _walk(inner, value, f"{prefix}{name}.")
        elif not prefix or (name not in ("name", "code") and (name != "class_" or "class" in values)):
            meaning = _meanings(kind).get(name, "")
            yield Explained(prefix + (info.alias or name), _shown(value), tuple(listed(info)), allowed(info), meaning)
            if inner is not None and value is None and not issubclass(inner, Choice):
                unset = _walk(inner, optional_values(name), f"{prefix}{name}.")
                yield from (replace(one, value=f"({one.value})") for one in unset)


def _class_of(info: FieldInfo, value: Any, path: str) -> type[Config] | None:
    try:
        return group_class(info.annotation, value, strict=True)
    except PydanticCustomError as error:
        raise ConfigError(refused_choice(path, error.context or {})) from error


@cache
def _meanings(kind: type[Config]) -> dict[str, str]:
    """Return the docstring under each field of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Config) and base is not Config:
            found |= _docstrings(base.__module__).get(base.__name__, {})
    return found


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Return the docstring under each field of the classes of a module, which is parsed once for all of them."""
    found: dict[str, dict[str, str]] = {}
    parsed = ast.parse(inspect.getsource(sys.modules[module])).body
    for kind in (one for one in parsed if isinstance(one, ast.ClassDef)):
        for field, text in zip(kind.body, kind.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                meaning = " ".join(str(ast.literal_eval(text.value)).split())
                found.setdefault(kind.name, {})[field.target.id] = meaning
    return found


def _headline(file: Path) -> str:
    """Return the comment that a file starts with; an experiment's first line is its command."""
    lines = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if not text.startswith(("@package", "python -m")):
            lines.append(text)
    return " ".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
