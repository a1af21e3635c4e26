"""Looking into the configurations of runs: a setting by its dotted path, and what sets two runs apart."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mt.choice import NOT_KEYED, Config
from mt.config.run import RunConfig

SEEDS = frozenset({"seed", "world_seed"})
"""What tells repetitions of one experiment apart."""


def setting(config: Mapping[str, Any], path: str) -> Any:
    """Return the setting at a dotted path ("objective.beta"), None where there is none."""
    node: Any = config
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting with its dotted path; a list counts as one setting."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that an experiment is made of: neither seeds nor what never changes a result."""
    return {
        path: value
        for path, value in flat(config)
        if value is not None and not _is_seed(path) and not any(_within(path, skip) for skip in unkeyed())
    }


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return (path, value, value) of the first setting in which two identities differ, or None."""
    for path in [*one, *other]:
        if one.get(path) != other.get(path):
            return path, one.get(path), other.get(path)
    return None


def matches(value: Any, wanted: Any) -> bool:
    """Say whether a setting is the wanted one, or one of several; texts from a command line are read as JSON."""
    if isinstance(wanted, list | tuple | set | frozenset):
        return any(matches(value, one) for one in wanted)
    return bool(value == wanted) or (isinstance(wanted, str) and value == _parsed(wanted))


@cache
def unkeyed() -> frozenset[str]:
    """Return the paths of settings that never change a result."""
    return frozenset(_unkeyed(RunConfig, ""))


def _unkeyed(model: type[Config], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if NOT_KEYED in info.metadata:
            yield f"{prefix}{name}"
            continue
        for part in _models(info.annotation):
            yield from _unkeyed(part, f"{prefix}{name}.")


def _models(annotation: Any) -> Iterator[type[Config]]:
    """Yield the configuration classes within a type, such as the choices of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _is_seed(path: str) -> bool:
    return path.rpartition(".")[2] in SEEDS


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"true": True, "false": False, "null": None}.get(text.lower(), text)
