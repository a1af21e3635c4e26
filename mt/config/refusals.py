"""What Hydra, OmegaConf and pydantic refuse, in one line: the setting, its value, what is allowed, how to fix it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mt.choice import Choice, Config
from mt.config.choices import SearchPath, optional_values
from mt.config.fields import (
    allowed,
    choice_names,
    field_of,
    find,
    group_class,
    is_nullable,
    is_within,
    optional_settings,
)
from mt.config.overrides import override_key, unknown_choice
from mt.config.run import RunConfig
from mt.errors import ConfigError, MutualTaughtError, describe, first_line, nearest, nearest_setting

_PROBLEMS = {
    "greater_than_equal": "too small",
    "greater_than": "too small",
    "less_than_equal": "too large",
    "less_than": "too large",
    "int_from_float": "not a whole number",
    "int_parsing": "not a whole number",
    "int_type": "not a whole number",
    "int_parsing_size": "too large",
    "float_parsing": "not a number",
    "float_type": "not a number",
    "finite_number": "not a finite number",
    "bool_parsing": "neither true nor false",
    "bool_type": "neither true nor false",
    "string_type": "not a text",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "string_pattern_mismatch": "not such a text",
    "too_short": "too few values",
    "literal_error": "no such value",
    "list_type": "not a list",
    "dict_type": "not settings in braces",
    "missing": "it has no value",
    "model_type": "a group of settings, which takes no value",
    "union_tag_not_found": "a choice without a name",
    "union_tag_invalid": "no such name",
}


def refused_by_hydra(error: Exception, overrides: Sequence[str], path: SearchPath) -> str:
    """Return the line for a composition that failed, with the nearest valid name where one was mistyped."""
    cause: BaseException | None = error
    while cause is not None:  # an interpolation's own refusal, wrapped by OmegaConf
        if isinstance(cause, MutualTaughtError):
            return str(cause)
        cause = cause.__cause__
    text = str(error)
    if option := re.search(r"Could not (?:find|load) '([\w/]+)/([^'/]+)'", text):
        return unknown_choice(option[1], option[2], path)
    if missing := unknown_setting(error):
        return _unknown_setting(missing, overrides, path)
    if there := re.search(r"(?:An item is already at '|Multiple values for )([\w.]*\w)", text):
        value = _given(there[1], overrides)
        return describe(f"+{there[1]}", value, "it is there already", fix=f"Leave the + out: {there[1]}={value}")
    if deleted := re.search(r"Could not delete (?:from config\. )?'([^']+)'", text):
        return describe("override", f"~{deleted[1]}", "there is nothing to delete", fix="Leave it out")
    if key := re.search(r"Missing mandatory value: .*?full_key: ([\w.]+)", text, re.DOTALL):
        values = OmegaConf.to_container(compose("config", overrides=_choices(overrides, path)), resolve=False)
        info = find(RunConfig, key[1].split("."), values)
        means = f" Allowed: {words}." if info and (words := allowed(info)) else ""
        return f"{key[1]}: it has no value.{means} Add {key[1]}=VALUE."
    if isinstance(error, RecursionError):
        return describe("overrides", " ".join(overrides), "a value refers to itself, or is nested too deeply")
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return f"{_unreadable_file(path)}: no readable YAML ({' '.join(text.split())}). Correct the file"
    if (key := re.search(r"full_key: ([\w.\[\]]+)", text)) and isinstance(error, OmegaConfBaseException):
        return describe(key[1], _given(key[1], overrides), first_line(error), fix="See python -m mt.run --help")
    return describe("overrides", " ".join(overrides), first_line(error), fix="See python -m mt.run --help")


def unknown_setting(error: Exception) -> str | None:
    """Return the setting that a composition did not find; None where it failed for another reason."""
    missing = re.search(r"Could not override '([^']+)'", str(error))
    return missing[1] if missing else None


def refused_by_pydantic(error: ValidationError, values: dict[str, Any], overrides: Sequence[str]) -> str:
    """Return the line for the first value that a class of settings refuses."""
    first = error.errors()[0]
    path, info, value = _locate(first["loc"], values)
    if first["type"] == "extra_forbidden":
        known = [key for key in _keys(values) if not is_within(key, [path])]
        siblings = [key for key in known if key.rpartition(".")[0] == path.rpartition(".")[0]]
        return describe(path, first["input"], "no such setting", allowed=_few(siblings)) + nearest_setting(path, known)
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] in ("union_tag_not_found", "union_tag_invalid"):
        path, value = f"{path}.name", value.get("name", "nothing") if isinstance(value, dict) else value
        names = ", ".join(choice_names(info)) if info else ""
        return describe(path, value, _PROBLEMS[first["type"]], allowed=names, fix="Correct it in the choice's file")
    if first["type"] == "choice":
        return refused_choice(path, first["ctx"])
    problem = _PROBLEMS.get(first["type"], first["msg"])
    values_allowed = allowed(info) if info else ""
    if first["type"] == "missing" and any(word.startswith("~") and override_key(word) == path for word in overrides):
        value = "NAME" if info is not None and choice_names(info) else "VALUE"
        return f"~{path}: a run cannot do without it. Choose another one: {path}={value}."
    if first["type"] == "model_type" and info is not None:
        return describe(path, value, problem, fix=_one_setting(path, info))
    if first["type"] == "missing":
        fix = "Add it to the file of the choice, or on the command line with a + before it"
        return describe(path, "nothing", problem, allowed=values_allowed, fix=fix)
    fix = f"Set {path}=VALUE"
    if first["type"] == "string_type" and isinstance(value, int | float):  # such as a partition or a run called 2024
        fix = f"""Put the value in quotes, and all in others: '{path}="{_given(path, overrides)}"'"""
    return describe(path, value, problem, allowed=values_allowed, fix=fix)


def _one_setting(path: str, info: FieldInfo) -> str:
    """Return how to set a group of settings: one below it, or null where it may be."""
    inner = group_class(info.annotation, None)
    if inner is None or issubclass(inner, Choice):
        example = f"{path}.name=NAME"
    else:
        field = next(iter(inner.model_fields))
        example = f"{path}.{field}={optional_values(path.rpartition('.')[2]).get(field, 'VALUE')}"
    return f"Set a setting below it, such as {example}{', or ' + path + '=null' if is_nullable(info) else ''}"


def refused_choice(path: str, facts: dict[str, Any]) -> str:
    """Return the line for a value that a class of settings refuses by `mt.choice.refusal`, by that error's facts."""
    named = ".".join(filter(None, (path, facts["field"])))
    line = describe(named, facts["value"], facts["problem"], allowed=facts["allowed"], fix=facts["fix"])
    return line + nearest(str(facts["value"]), facts["allowed"].split(", "))


def refuse_booleans_as_numbers(config: RunConfig, values: dict[str, Any]) -> None:
    """Refuse true and false where a number is asked for, which pydantic takes as 1 and 0; raises ConfigError."""
    for path, value in _changed_booleans(config, values, ()):
        info = find(RunConfig, path, values)
        name = ".".join(path)
        text = allowed(info) if info else "a number"
        raise ConfigError(describe(name, value, "not a number", allowed=text, fix=f"Set {name}=VALUE"))


def _changed_booleans(config: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the place of each boolean that validation made something else of."""
    if isinstance(value, bool) and not isinstance(config, bool):
        yield path, value
    elif isinstance(value, dict):
        # In the order of pydantic's own complaints: a setting before those that follow it.
        for name, one in sorted(value.items(), key=lambda item: _position(config, item[0])):
            checked = config.get(name) if isinstance(config, dict) else getattr(config, str(name), None)
            yield from _changed_booleans(checked, one, (*path, str(name)))
    elif isinstance(value, list) and isinstance(config, list | tuple):
        for number, (checked, one) in enumerate(zip(config, value, strict=False)):
            yield from _changed_booleans(checked, one, (*path, str(number)))


def _position(config: Any, name: str) -> int:
    fields = list(type(config).model_fields) if isinstance(config, Config) else []
    return fields.index(name) if name in fields else len(fields)


def _locate(places: tuple[str | int, ...], values: Any) -> tuple[str, FieldInfo | None, Any]:
    """Return the path, the field and the value that pydantic speaks of, by the path that the user would type.

    Pydantic's own path holds the name of each choice (objective, dpo, beta) and of each type that it tried.
    """
    kind: type[Config] | None = RunConfig
    info: FieldInfo | None = None
    path: list[str] = []
    for place in places:
        if kind is not None and (known := field_of(kind, str(place))):
            info = known
        elif isinstance(place, str) and (kind is None or (isinstance(values, dict) and values.get("name") == place)):
            continue
        else:
            info = None
        path.append(str(place))
        if isinstance(values, dict):
            values = values.get(place)
        elif isinstance(values, list) and isinstance(place, int) and place < len(values):
            values = values[place]
        kind = group_class(info.annotation, values) if info is not None else None
    return ".".join(path), info, values


def _unreadable_file(path: SearchPath) -> str:
    """Return the first file of the user's own that is no YAML; neither Hydra nor the parser names it."""
    for folder in path.folders[1:]:
        for file in sorted(folder.glob("*/*.yaml")):
            try:
                yaml.safe_load(file.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError):
                return str(file)
    return "a file of choices"


def _unknown_setting(key: str, overrides: Sequence[str], path: SearchPath) -> str:
    value = _given(key, overrides)
    groups = path.groups()
    choices = _choices(overrides, path)
    known = _composed_keys(choices)
    group = max((one for one in groups if key.startswith(f"{one}.")), key=len, default="")
    problem = "the choices made here have no such setting"
    if group == "eval" and (name := key.split(".")[1]) in path.options(group):
        return describe(key, value, problem, fix=f"Leave it out, or add {name} to eval=[…]")
    if having := [name for name in path.options(group) if key in _composed_keys([f"{group}={name}"])]:
        *others, last = having
        names = f"{', '.join(others)} or {last}" if others else last
        return describe(key, value, problem, fix=f"Leave it out, or choose {group}={names}, which has it")
    valid = [*known, *groups]
    siblings = [name for name in valid if name.rpartition(".")[0] == key.rpartition(".")[0]]
    fix = "python -m mt.run --cfg job lists all settings"
    return describe(key, value, "no such setting", allowed=_few(siblings), fix=fix) + nearest_setting(key, valid)


def _choices(overrides: Sequence[str], path: SearchPath) -> list[str]:
    return [line for line in overrides if override_key(line) in path.groups()]


def _composed_keys(choices: list[str]) -> list[str]:
    """Return the settings under these choices, or under the default ones where these do not compose."""
    try:
        config = compose("config", overrides=choices)
    except (HydraException, OmegaConfBaseException):
        config = compose("config")
    values = OmegaConf.to_container(config, resolve=False)
    return [*_keys(values), *optional_settings(RunConfig, values)]


def _keys(node: Any, prefix: str = "") -> list[str]:
    """Return the dotted paths of all settings."""
    found = []
    for name, value in node.items():
        found.append(f"{prefix}{name}")
        if isinstance(value, dict):
            found += _keys(value, f"{prefix}{name}.")
    return found


def _few(names: list[str]) -> str:
    return ", ".join(sorted(names)) if len(names) <= 15 else ""  # more than a line can hold


def _given(key: str, overrides: Sequence[str]) -> str:
    return next((line.partition("=")[2] for line in overrides if override_key(line) == key), "nothing")
