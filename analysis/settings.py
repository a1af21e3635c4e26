"""Looking into the configurations of runs: a setting by its dotted path, and what sets two runs apart."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mt.choice import NOT_KEYED, Config
from mt.config.run import RunConfig
from mt.costing.shapes import Shape
from mt.world.language import VOCABULARY
from mt.world.models import SPECIAL

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
    return {path: value for path, value in flat(config) if value is not None and _identifies(path)}


@cache
def _identifies(path: str) -> bool:
    is_seed = path.rpartition(".")[2] in SEEDS
    return not is_seed and not any(is_within(path, skip) for skip in unkeyed())


def matches(value: Any, wanted: Any) -> bool:
    """Say whether a setting is the wanted one, or one of several; texts from a command line are read as JSON."""
    if isinstance(wanted, list | tuple | set | frozenset):
        return any(matches(value, one) for one in wanted)
    return bool(value == wanted) or (isinstance(wanted, str) and value == _parsed(wanted))


def world_weights(config: Mapping[str, Any]) -> int:
    """Return the number of weights of a world's policy, its norms aside."""
    model = config["data"]["policy"]
    hidden, heads = model["hidden_size"], model["heads"]
    sizes = (hidden, model["layers"], model["feed_forward"], heads, model["key_value_heads"], hidden // heads)
    return Shape(*sizes, vocabulary=len(SPECIAL) + len(VOCABULARY), tied=True).parameters


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


def is_within(path: str, parent: str) -> bool:
    """Say whether a dotted path lies at or below another one."""
    return path == parent or path.startswith(f"{parent}.")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"true": True, "false": False, "null": None}.get(text.lower(), text)
