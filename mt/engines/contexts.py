"""How long a model's sequences may be, read from its folder's config.json: no model library is needed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from mt.errors import ModelError, describe
from mt.runtime.text import parse_json

_FIELDS = ("max_position_embeddings", "n_positions")


def context_length(folder: Path) -> int | None:
    """Return the most tokens that the model's positions allow, or None where its config names no limit.

    Raises ModelError for a config.json that is no JSON object, or whose limit is no number.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        return None
    try:
        config: dict[str, Any] = parse_json(path.read_bytes())
        config = {**config, **(config.get("text_config") or {})}
    except (ValueError, AttributeError, TypeError) as error:
        mend = "Download or save the model again"
        raise ModelError(describe("model", path, f"is not a JSON object ({error})", mend=mend)) from error
    field, limit = next(((name, config[name]) for name in _FIELDS if config.get(name)), ("", None))
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ModelError(describe(f"{path}: {field}", limit, "is not a number of tokens", allowed="a whole number"))
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
