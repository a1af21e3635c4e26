"""The user's own reward functions: where they are defined, and what a call returns."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mt.errors import ConfigError, describe
from mt.types import Messages

Problem = Literal["timed_out", "raised", "invalid", "ended"]
"""Why a call gave no reward: out of time, an exception, no finite number, or the end of its process."""
_ALLOWED = "FILE.py:NAME, or package.module:NAME, of a function (messages, response) -> float"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a prompt and its response, or all responses to it where the function takes them together."""

    messages: Messages
    responses: list[str]


@dataclass(frozen=True, slots=True)
class CallResult:
    """The rewards of a call's responses; None with the reason."""

    rewards: list[float] | None
    problem: Problem | None = None
    said: str = ""


def source_of(function: str, field: str) -> Path:
    """Return the file that defines a function, which is looked for but not run; raises ConfigError naming `field`."""
    place, _, name = function.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigError(describe(field, function, "not the name of a function", allowed=_ALLOWED))
    file = Path(place).expanduser().resolve() if place.endswith(".py") else _module_file(place)
    if file is None or not file.is_file():
        fix = "Run from the folder that holds it, or give the file's path"
        raise ConfigError(describe(field, function, f"there is no {place}", allowed=_ALLOWED, fix=fix))
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(describe(field, function, f"{file} is no Python ({error})")) from error
    defined = {one for node in body for one in _names(node)}
    if name not in defined or any(isinstance(node, ast.ClassDef) and node.name == name for node in body):
        functions = sorted(node.name for node in body if isinstance(node, ast.FunctionDef))
        problem = f"{name} is a class" if name in defined else f"{file} defines no {name}"
        raise ConfigError(describe(field, function, problem, allowed=", ".join(functions) or _ALLOWED))
    return file


def _module_file(module: str) -> Path | None:
    """Return a module's file as an import from the current folder or the environment would find it."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    finally:
        sys.path[:] = before
    return Path(found.origin) if found is not None and found.origin is not None else None


def _names(node: ast.stmt) -> list[str]:
    """Return what a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
