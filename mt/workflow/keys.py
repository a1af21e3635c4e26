"""Identity of a computation: a canonical form of its inputs and the hash of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from mt.choice import Config


class Keyed:
    """A reference to an artifact: only its key enters other keys."""

    key: Any
    """The hash that names the artifact."""


def canonical(value: Any) -> Any:
    """Return the one canonical form of `value` as plain JSON data; raises TypeError for what has none.

    Fields that are None are left out, so that a new optional setting moves no existing key.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Keyed):
        return {"artifact": value.key}
    if isinstance(value, Config):
        return _form(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return canonical({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(name): canonical(item) for name, item in sorted(value.items()) if item is not None}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [canonical(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be part of a stage's identity")


_FORMS: dict[int, tuple[weakref.ref[Config], Any]] = {}


def _form(config: Config) -> Any:
    """Return the canonical form of settings; made once for each object, because dozens of stages share one."""
    place = id(config)
    known = _FORMS.get(place)
    if known is None or known[0]() is not config:
        forget = weakref.ref(config, lambda _: _FORMS.pop(place, None))
        known = _FORMS[place] = forget, canonical(config.identity())
    return known[1]


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of `value`."""
    return digest_canonical(canonical(value))


def digest_canonical(value: Any) -> str:
    """Return the SHA-256 (hex) of what is in canonical form already."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(seed: int, *names: object) -> int:
    """Derive an independent 31-bit seed from a run's seed and the names of what uses it."""
    return int(digest([seed, *map(str, names)])[:8], 16) & 0x7FFFFFFF
