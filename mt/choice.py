"""Choices of the configuration: each option of a group is one class, whose fields are its settings.

A group (objective, selection, judge, …) has one base class. An option of it is one subclass in one module: its fields
with their types, bounds and docstrings are the configuration, its methods are the computation. Values live in conf/.
An option of this package is found by its name: `objective.name=dpo` is the class in `mt/objectives/dpo.py`. A class of
the user's own is found by its import path: `objective.class=my_package.losses.Mine`. Nothing is imported before a
configuration names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import io
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T")


class _NotKeyed:
    """Marks a field that never changes a result."""


NOT_KEYED = _NotKeyed()
Unkeyed = Annotated[T, NOT_KEYED]
"""`Unkeyed[int]`: a field that changes how a result is made (batch size, paths, workers), never the result."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FlipRate = Annotated[float, Field(ge=0, lt=0.5)]
Share = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**12)]
"""Bounded far above what anybody has: what counts in the machine takes no number of any length."""
_LONGEST = 10_000_000
"""Tokens of the longest contexts that models have."""
Tokens = Annotated[int, Field(ge=1, le=_LONGEST)]
Length = Annotated[int, Field(ge=2, le=_LONGEST)]
"""Tokens of a prompt and a response together."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every random generator takes."""


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


class Choice(Config):
    """An option of a group; the group's base class stands for all of them.

    `Objective.model_validate({"name": "dpo", "beta": 0.1, …})` returns a `Dpo`, as a field of type `Objective` does.
    """

    model_config = ConfigDict(populate_by_name=True)

    GROUP: ClassVar[str]
    """The group's name on the command line; its base class sets it."""
    PACKAGE: ClassVar[str]
    """The package of the group's options, one module each; its base class sets it."""

    name: str = ""
    """The option's name, which is filled in where a class is named."""
    class_: str | None = Field(default=None, alias="class")
    """The import path of a class of one's own, or the option whose class this is; null takes the class of `name`."""
    code: str | None = None
    """SHA-256 of the module that defines a class of one's own, and of its bases' modules where those are one's own too:
    what other code computes has another key. What these modules import is not part of it."""

    @model_validator(mode="wrap")
    @classmethod
    def _as_option(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, dict):
            return handler(values)
        own = None if "GROUP" in vars(cls) else option_name(cls)
        given, field = values.get("class") or values.get("name") or own, "class" if values.get("class") else "name"
        if not isinstance(given, str):
            raise refusal("nothing" if given is None else str(given), "no name of a choice", names(cls), field=field)
        kind = option(_base(cls), given, field)
        if not issubclass(kind, cls):
            raise refusal(given, f"it is no {cls.__name__}", names(cls), field=field)
        code = source_hash(kind)
        if values.get("code") not in (None, code):
            problem = f"{inspect.getfile(kind)} has changed since this run was planned"
            raise refusal(given, problem, fix="Undo the change, or give the command again, which plans it anew")
        values = {**values, "name": values.get("name") or given, "code": code}
        return handler(values) if kind is cls else kind.model_validate(values)

    @model_serializer
    def _as_plain_data(self) -> dict[str, Any]:
        """Return the fields of the option itself: a field is declared by its group's base class, which has fewer."""
        given = {info.alias or name: getattr(self, name) for name, info in type(self).model_fields.items()}
        return {name: value for name, value in given.items() if value is not None or name not in ("class", "code")}


def own_choices(config: Config, path: str = "") -> Iterator[tuple[str, Choice]]:
    """Yield the choices of a configuration whose class is the user's own, with their places in it."""
    for name, value in config:
        if isinstance(value, Choice) and value.code:
            yield path + name, value
        if isinstance(value, Config):
            yield from own_choices(value, f"{path}{name}.")


C = TypeVar("C", bound=Choice)
_DERIVED = re.compile(rb"^class \w+\(", re.MULTILINE)
_HEAVY = re.compile(rb"^(import|from) (torch|transformers|vllm|trl)\b", re.MULTILINE)
_NOT_OWN = {*sys.stdlib_module_names, "pydantic", "mt"} - {"__main__"}
"""Packages whose code is not the user's own: of this one's, a stage's VERSION stands for it."""


@cache
def option(base: type[C], name: str, field: str = "name") -> type[C]:
    """Return the class of a group's option: by its name, or by the import path of a class of one's own.

    Raises PydanticCustomError "choice" where there is none, or where it cannot be imported; `field` is where it was
    named.
    """
    if "." in name:
        return _own(base, name)
    module = f"{base.PACKAGE}.{name}"
    found = [] if not name.isidentifier() or importlib.util.find_spec(module) is None else _options_in(base, module)
    if not found:
        allowed = [*names(base), *(["package.module.Class for one of your own"] if field == "class" else [])]
        raise refusal(name, "no such name", allowed, field=field)
    return found[0]


def chosen(kind: type[C], values: dict[str, Any], *, strict: bool = False) -> type[C]:
    """Return the option that settings name, or `kind` itself where they name none.

    An option that does not exist or cannot be imported counts as none; with `strict` it raises as `option` does.
    """
    name = values.get("class") or values.get("name")
    try:
        found = option(_base(kind), name) if isinstance(name, str) else kind
    except PydanticCustomError:
        if strict:
            raise
        return kind
    return found if issubclass(found, kind) else kind


def option_name(kind: type[Choice]) -> str:
    """Return the name by which `option` finds a class: its module's name in the group's package, or its import path."""
    package, _, module = kind.__module__.rpartition(".")
    return module if package == kind.PACKAGE else f"{kind.__module__}.{kind.__qualname__}"


@cache
def names(base: type[Choice]) -> list[str]:
    """Return the names of this package's options of a group that are a `base`; imports all of them.

    A package holds other modules, too; those that define no class with a base, or that import torch at their top, are
    no options and are not imported.
    """
    (folder,) = importlib.import_module(base.PACKAGE).__path__
    sources = {path.stem: path.read_bytes() for path in sorted(Path(folder).glob("*.py"))}
    found = [name for name, text in sources.items() if _DERIVED.search(text) and not _HEAVY.search(text)]
    return [name for name in found if _options_in(base, f"{base.PACKAGE}.{name}")]


def source_hash(kind: type[Any]) -> str | None:
    """Return the SHA-256 of the modules of the user's own that define a class and its bases, None without any."""
    modules = dict.fromkeys(one.__module__ for one in kind.__mro__)
    own = tuple(name for name in modules if name.partition(".")[0] not in _NOT_OWN)
    return _hash_of(own) if own else None


@cache
def _hash_of(modules: tuple[str, ...]) -> str:
    try:
        sources = [Path(inspect.getfile(sys.modules[name])).read_bytes() for name in modules]
    except (OSError, TypeError) as error:
        problem = f"its source cannot be read: {' '.join(str(error).split())}"
        raise refusal(modules[0], problem) from error
    return hashlib.sha256(b"".join(sources)).hexdigest()


def _base(kind: type[Choice]) -> type[Choice]:
    """Return the base class of a class's group."""
    return next(one for one in kind.__mro__ if "GROUP" in vars(one))


def _options_in(base: type[C], module: str) -> list[type[C]]:
    """Return the option that a module defines, if any: the last of its classes that can be instantiated."""
    kinds = vars(importlib.import_module(module)).values()
    own = [one for one in kinds if isinstance(one, type) and issubclass(one, base) and one.__module__ == module]
    return [one for one in own if "GROUP" not in vars(one) and not inspect.isabstract(one)][-1:]


def _own(base: type[C], path: str) -> type[C]:
    """Return a class of the user's own, imported from the current folder or from the environment."""
    module, _, name = path.rpartition(".")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    had_torch, printed = "torch" in sys.modules, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):  # what a command prints may be read by a machine
            kind = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a module of the user's own may raise anything
        absent = isinstance(error, AttributeError | ModuleNotFoundError)
        fix = "Name it as package.module.Class, from the folder that holds it" if absent else "Correct that first"
        problem = f"it cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
        raise refusal(path, problem, fix=fix) from error
    if not (isinstance(kind, type) and issubclass(kind, base)) or kind is base:
        raise refusal(path, f"it is no subclass of {base.__module__}.{base.__name__}")
    if missing := ", ".join(sorted(kind.__abstractmethods__)):
        raise refusal(path, f"it does not define {missing}")
    if said := " ".join(printed.getvalue().split()):
        print(f'{module} prints "{said[:100]}" when it is imported. Print inside methods', file=sys.stderr)
    if "torch" in sys.modules and not had_torch:
        slow = "which --help and planning now wait for. Import it inside methods"
        print(f"{module} imports torch, {slow}", file=sys.stderr)
    source_hash(kind)  # as it is now: the file may change while this process lives
    return kind


def refusal(
    value: object, problem: str, allowed: list[str] | None = None, fix: str = "", field: str = "class"
) -> PydanticCustomError:
    """Return the error by which a validator refuses a value; its line names the setting by the path that was typed.

    `field` is the field's name below what is validated; empty where that is the field itself.
    """
    facts = {"value": value, "problem": problem, "allowed": ", ".join(allowed or []), "fix": fix, "field": field}
    return PydanticCustomError("choice", "{problem}", facts)
