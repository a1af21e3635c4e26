"""The base of every configuration class: strict, immutable, and able to say which fields identify a result."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class _NotKeyed:
    """Marks a field that never changes a result."""


NOT_KEYED = _NotKeyed()
Unkeyed = Annotated[T, NOT_KEYED]
"""`Unkeyed[int]`: a field that changes how a result is made (batch size, paths, workers), never the result."""


class Config(BaseModel):
    """A strict and immutable group of settings; values come from conf/, so that fields carry no defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """Return the fields that identify a result: without unkeyed fields and without those that are None."""
        keyed = {
            name: getattr(self, name)
            for name, info in type(self).model_fields.items()
            if NOT_KEYED not in info.metadata
        }
        return {name: value for name, value in keyed.items() if value is not None}


def free_settings(kind: type[Config], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of the settings that hold names of the user's own (dict fields), of every choice."""
    for name, info in kind.model_fields.items():
        for part in _members(info.annotation):
            if get_origin(part) is dict:
                yield prefix + name
            elif isinstance(part, type) and issubclass(part, Config):
                yield from free_settings(part, f"{prefix}{name}.")


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the members of nested unions, annotations taken off."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _members(one)
    else:
        yield annotation


def keyed_paths(config: Config, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of the settings that identify a result."""
    for name, info in type(config).model_fields.items():
        value = getattr(config, name)
        if NOT_KEYED in info.metadata:
            continue
        if isinstance(value, Config):
            yield from keyed_paths(value, f"{prefix}{name}.")
        else:
            yield prefix + name
