"""What the configuration's classes say of a setting: which one a path names, and the values that it may take."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo
from typing_extensions import Doc

from mt.choice import NOT_KEYED, Choice, Config, chosen, names

_BOUNDS: dict[type, str] = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
_NAMES = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "settings in braces"}


def members(annotation: Any, metadata: Sequence[Any] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the types of a union, annotations taken off, each with its constraints."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        constraints = [part for one in more for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        yield from members(inner, [*metadata, *constraints])
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from members(part, metadata)
    else:
        yield annotation, list(metadata)


def group_class(annotation: Any, value: Any, *, strict: bool = False) -> type[Config] | None:
    """Return the class that describes a group of settings: the option that the value names, where there are several.

    With `strict`, an option that does not exist or cannot be imported raises PydanticCustomError "choice".
    """
    classes = [part for part, _ in members(annotation) if isinstance(part, type) and issubclass(part, Config)]
    if len(classes) == 1:
        (only,) = classes
        return chosen(only, value, strict=strict) if issubclass(only, Choice) and isinstance(value, dict) else only
    name = value.get("name") if isinstance(value, dict) else None
    return next((one for one in classes if name in get_args(one.model_fields["name"].annotation)), None)


def choice_names(info: FieldInfo) -> list[str]:
    """Return the names that tell the classes of a choice apart."""
    found: list[str] = []
    for part, _ in members(info.annotation):
        if isinstance(part, type) and issubclass(part, Choice):
            found += names(part)
        elif isinstance(part, type) and issubclass(part, Config) and "name" in part.model_fields:
            found += listed(part.model_fields["name"])
    return found


def find(root: type[Config], path: Sequence[str], values: Any) -> FieldInfo | None:
    """Return the field that a path names, in the classes that the values choose; None where there is none."""
    kind: type[Config] | None = root
    info = None
    for name in path:
        info = field_of(kind, name) if kind else None
        if info is None:
            return None
        values = values.get(name) if isinstance(values, dict) else None
        kind = group_class(info.annotation, values)
    return info


def field_of(kind: type[Config], name: str) -> FieldInfo | None:
    """Return the field of that name as users write it; None where the class has none."""
    aliased = (info for info in kind.model_fields.values() if info.alias == name)
    return kind.model_fields.get(name) or next(aliased, None)


def listed(info: FieldInfo) -> list[str]:
    """Return the values of a setting that has finitely many; empty where it takes others too."""
    found: list[str] = []
    for part, _ in members(info.annotation):
        if get_origin(part) is Literal:
            found += [str(value) for value in get_args(part)]
        elif part is bool:
            found += ["true", "false"]
        elif part is type(None):
            found.append("null")
        else:
            return []
    return found


def allowed(info: FieldInfo) -> str:
    """Return in words which values a setting takes, such as "a whole number, at least 1 and at most 100, or null"."""
    if values := listed(info):
        return ", ".join(values)
    found = [
        text for part, constraints in members(info.annotation, info.metadata) if (text := _words(part, constraints))
    ]
    return ", or ".join(dict.fromkeys(found))


def is_nullable(info: FieldInfo) -> bool:
    """Say whether a setting may be null."""
    return any(part is type(None) for part, _ in members(info.annotation))


def _words(part: Any, constraints: list[Any]) -> str:
    origin = get_origin(part) or part
    if origin is Literal:
        return ", ".join(str(value) for value in get_args(part))
    if origin is type(None):
        return "null"
    if origin is bool:
        return "true or false"
    if isinstance(origin, type) and issubclass(origin, Config):
        return "a group of settings"
    bounds = [
        f"{word} {getattr(one, kind.__name__.lower())}"
        for one in constraints
        for kind, word in _BOUNDS.items()
        if isinstance(one, kind)
    ]
    bounds += [
        "not empty" if one.min_length == 1 else f"at least {one.min_length}"
        for one in constraints
        if isinstance(one, MinLen)
    ]
    bounds += [one.documentation for one in constraints if isinstance(one, Doc)]
    return ", ".join([_NAMES.get(origin, ""), *([" and ".join(bounds)] if bounds else [])])


def free_settings(kind: type[Config], values: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of the settings that hold names of the user's own (dict fields), in the chosen classes."""
    for name, info in kind.model_fields.items():
        value = values.get(name) if isinstance(values, dict) else None
        if any(get_origin(part) is dict for part, _ in members(info.annotation)):
            yield prefix + name
        elif inner := group_class(info.annotation, value):
            yield from free_settings(inner, value, f"{prefix}{name}.")


def optional_settings(kind: type[Config], values: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of the fields of groups that are null, which can be set one by one."""
    for name, info in kind.model_fields.items():
        value = values.get(name) if isinstance(values, dict) else None
        inner = group_class(info.annotation, value)
        if inner is not None and value is not None:
            yield from optional_settings(inner, value, f"{prefix}{name}.")
        elif inner is not None and not issubclass(inner, Choice):
            yield from (f"{prefix}{name}.{field}" for field in inner.model_fields)


def path_of(config: Config, wanted: Config, prefix: str = "") -> str | None:
    """Return the dotted path at which a configuration holds that very group of settings; None where it does not."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if value is wanted:
            return prefix + name
        if isinstance(value, Config) and (found := path_of(value, wanted, f"{prefix}{name}.")):
            return found
    return None


def devices(config: Config, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted path and the value of every setting that names a device."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from devices(value, f"{prefix}{name}.")
        elif name == "device":
            yield prefix + name, value


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


def keyed(value: Any, info: FieldInfo | None) -> Any:
    """Return a recorded setting, or a group's settings, without what identifies no result: unkeyed fields and nulls."""
    if info is not None and NOT_KEYED in info.metadata:
        return None
    kind = group_class(info.annotation, value) if info else None
    if kind is None or not isinstance(value, dict):
        return value
    found = {name: keyed(one, field_of(kind, name)) for name, one in value.items()}
    return {name: one for name, one in found.items() if one is not None}


def setting(config: Mapping[str, Any], path: str) -> Any:
    """Return the setting at a dotted path ("objective.beta"), None where there is none; all settings for ""."""
    node: Any = config
    for part in path.split(".") if path else ():
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def is_within(path: str, parents: Iterable[str]) -> bool:
    """Say whether a dotted path is one of these or lies below one."""
    return any(path == parent or path.startswith(f"{parent}.") for parent in parents)
