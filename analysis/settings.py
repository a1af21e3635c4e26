"""Looking into the configurations of runs: a setting by its dotted path, and what sets two runs apart."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mt.choice import NOT_KEYED, Choice, Config, chosen
from mt.config.run import RunConfig
from mt.workflow.volume import Shape
from mt.world.language import VOCABULARY
from mt.world.models import SPECIAL

SEEDS = frozenset({"seed", "world_seed"})
"""The settings in which repetitions of one experiment differ."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that an experiment is made of, by dotted path: neither seeds nor what changes no result."""
    return dict(_keyed(config, [RunConfig], ""))


def _keyed(values: Mapping[str, Any], models: Sequence[type[Config]], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a group, whose class says what is keyed; a list counts as one setting."""
    for name, value in values.items():
        if value is None or name in SEEDS or any(_is_unkeyed(model, name) for model in models):
            continue
        if isinstance(value, Mapping):
            kinds = [kind for model in models for kind in _parts(model, name)]
            named = [chosen(kind, dict(value)) if issubclass(kind, Choice) else kind for kind in kinds]
            yield from _keyed(value, named, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@cache
def _is_unkeyed(model: type[Config], name: str) -> bool:
    return name in model.model_fields and NOT_KEYED in model.model_fields[name].metadata


@cache
def _parts(model: type[Config], name: str) -> list[type[Config]]:
    return list(_models(model.model_fields[name].annotation)) if name in model.model_fields else []


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


def _models(annotation: Any) -> Iterator[type[Config]]:
    """Yield the configuration classes within a type, such as X of X | None."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"true": True, "false": False, "null": None}.get(text.lower(), text)


def typed(value: Any) -> str:
    """Return a value as it is typed on a command line."""
    return value if isinstance(value, str) else json.dumps(value)
