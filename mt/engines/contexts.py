"""The JSON files of a model folder, and how long its sequences may be: no model library is needed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from mt.errors import ModelError, describe
from mt.runtime.text import parse_json

_FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len")


def read_json(path: Path, field: str = "model") -> dict[str, Any]:
    """Return one of a model folder's JSON files, empty where it has none; raises ModelError where it is no object."""
    if not path.is_file():
        return {}
    fix = "Download or save the model again"
    try:
        found = parse_json(path.read_bytes())
    except ValueError as error:
        raise ModelError(describe(field, path, f"is not valid JSON ({error})", fix=fix)) from error
    if not isinstance(found, dict):
        raise ModelError(describe(field, path, "is not a JSON object", fix=fix))
    return found


def context_length(folder: Path, setting: str = "model") -> int | None:
    """Return the most tokens that the model's positions allow, or None where its config names no limit.

    Raises ModelError, which names the `setting`, for a config.json that is no JSON object, or whose limit is no number.
    """
    path = Path(folder) / "config.json"
    config = read_json(path, setting)
    text = config.get("text_config") or {}
    if not isinstance(text, dict):
        raise ModelError(describe(setting, path, f"its text_config={text!r} is not a JSON object"))
    config = {**config, **text}
    field, limit = next(((name, config[name]) for name in _FIELDS if config.get(name)), ("", None))
    if limit is not None and (type(limit) is not int or limit < 1):
        problem = f"its {field}={limit!r} is not a number of tokens"
        raise ModelError(describe(setting, path, problem, allowed="a whole number"))
    return limit


def within_context(path: str | None, length: int) -> int:
    """Return `length`, or the context of the local model folder at `path` where that is shorter.

    A hub name keeps `length`: what a run is must not depend on what a cache holds. So does a folder that cannot be
    read: what is wrong with it is reported where models are checked.
    """
    folder = Path(path).expanduser() if path else None
    limit = None
    if folder is not None and folder.is_dir():
        with contextlib.suppress(ModelError):
            limit = context_length(folder)
    return length if limit is None else min(length, limit)
