"""What every choice and setting means: the first comment of each file in conf/, the docstrings of the classes here."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hydra import compose
from omegaconf import OmegaConf

from mt.config.assembly import hydra_at, override_key
from mt.config.base import Config
from mt.config.compose import CONF, groups, options, register_resolvers
from mt.config.run import RunConfig
from mt.errors import ConfigError, describe, nearest


@dataclass(frozen=True)
class Explained:
    """A setting, its value, the values it may take where they can be listed, and its meaning."""

    path: str
    value: str
    allowed: tuple[str, ...]
    meaning: str


def choices() -> dict[str, dict[str, str]]:
    """Return what each option of each group is, by the comment on top of its file."""
    return {group: {name: _headline(group, name) for name in options(group)} for group in groups()}


def settings(paths: list[str], overrides: list[str]) -> list[Explained]:
    """Return the settings at and below the paths, under these choices; raises ConfigError for an unknown path."""
    register_resolvers()
    with hydra_at(CONF):
        values = OmegaConf.to_container(compose("config", overrides=overrides), resolve=True)
    assert isinstance(values, dict)
    known = list(_walk(RunConfig, values, ""))
    wanted = [*paths, *(override_key(line) for line in overrides)]
    for path in paths:
        if not any(_within(one.path, path) for one in known):
            group = path.partition(".")[0]
            mend = f"Settings of one choice: --help {group}=NAME" if group in groups() else ""
            raise ConfigError(describe("--help", path, "no such setting", mend=mend) + nearest(path, _prefixes(known)))
    return [one for one in known if not wanted or any(_within(one.path, path) for path in wanted)]


def _walk(kind: type[Config], values: Any, prefix: str) -> Iterator[Explained]:
    for name, info in kind.model_fields.items():
        value = values.get(name) if isinstance(values, dict) else None
        inner = _member(info.annotation, value)
        if inner is not None and isinstance(value, dict):
            yield from _walk(inner, value, f"{prefix}{name}.")
        elif name != "name" or not prefix:  # a choice's own name
            yield Explained(prefix + name, _shown(value), _allowed(info.annotation), _meanings(kind).get(name, ""))


def _parts(annotation: Any) -> list[Any]:
    """Return the members of unions, annotations taken off."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for one in get_args(annotation) for part in _parts(one)]
    return [annotation]


def _member(annotation: Any, value: Any) -> type[Config] | None:
    """Return the class that describes a group of settings: of several, the one that bears the value's name."""
    classes = [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, Config)]
    if len(classes) < 2:
        return classes[0] if classes else None
    name = value.get("name") if isinstance(value, dict) else None
    return next((one for one in classes if name in get_args(one.model_fields["name"].annotation)), None)


def _allowed(annotation: Any) -> tuple[str, ...]:
    found: list[str] = []
    for part in _parts(annotation):
        if get_origin(part) is Literal:
            found += [str(value) for value in get_args(part)]
        elif part is bool:
            found += ["true", "false"]
        elif part is type(None):
            found.append("null")
    return tuple(found) if len(found) > 1 else ()


@cache
def _meanings(kind: type[Config]) -> dict[str, str]:
    """Return the docstring under each field of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Config) and base is not Config:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(body, ast.ClassDef)
            for field, text in zip(body.body, body.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                ):
                    found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _headline(group: str, name: str) -> str:
    """Return the comment that a file starts with; an experiment's first line is its command."""
    lines = []
    for line in (CONF / group / f"{name}.yaml").read_text().splitlines():
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


def _prefixes(known: list[Explained]) -> list[str]:
    return sorted({".".join(one.path.split(".")[:depth]) for one in known for depth in range(1, 5)})


def _within(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(f"{wanted}.")
