"""Keys and secrets never leave this machine: what looks like one is blanked before it is shown or sent."""

from __future__ import annotations

import contextlib
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "***"
_SECRET_FIELD = re.compile(
    r"(api_?key|access_?key|private_?key|password|passwd|bearer|credentials?|secret|(auth|access|hf|hub|api)_?token)$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
_SECRET_TEXT = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{16,}|\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bwandb_v1_[\w-]{16,}"
)
_USER_IN_URL = re.compile(r"(\w://)[^/\s]+@")
_SHORTEST = 8
_SHORTEST_PASSWORD = 6
_PATHS = ("/", "~", "./")
"""How the values of such variables begin that name a file, and are no secret."""


def redact(value: Any) -> Any:
    """Return JSON-like data without secrets: fields named like one, values of such variables, keys in texts."""
    return _redact(value, _environment_secrets())


def _redact(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        named = {
            name for name, item in value.items() if isinstance(item, str) and item and _SECRET_FIELD.search(str(name))
        }
        return {name: HIDDEN if name in named else _redact(item, secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    return _SECRET_TEXT.sub(HIDDEN, _USER_IN_URL.sub(rf"\g<1>{HIDDEN}@", value))


def _environment_secrets() -> list[str]:
    """Return the values of variables named like secrets, and secrets in addresses, also coded in base 64.

    The longest come first, so that none is left in parts.
    """
    found = {
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name.upper()) and len(value) >= _SHORTEST and not value.startswith(_PATHS)
    }
    for value in os.environ.values():
        found.update(one for one in _in_address(value) if len(one) >= _SHORTEST_PASSWORD)
    found |= {coded for secret in found for coded in _coded(secret)}
    return sorted(found, key=len, reverse=True)


def _in_address(value: str) -> Iterator[str]:
    """Yield what is secret in a value that is an address: the password, the user with it, and keys of the query."""
    if "://" not in value:
        return
    with contextlib.suppress(ValueError):
        address = urlsplit(value)
        for name, one in parse_qsl(address.query):
            if _SECRET_VARIABLE.search(name.upper()):
                yield from (one, quote(one, safe=""))
        if address.password:
            pair = f"{address.username or ''}:{address.password}"
            yield from (address.password, unquote(address.password), pair, unquote(pair))


def _coded(secret: str) -> Iterator[str]:
    """Yield what of a secret's base 64 does not depend on what stands around it, at each of the three offsets."""
    for offset in range(3):
        content = bytes(offset) + secret.encode("utf-8", "surrogateescape")
        first, last = -(-offset * 8 // 6), len(content) * 8 // 6
        for coded in (b64encode(content), urlsafe_b64encode(content)):
            if last - first >= _SHORTEST:
                yield coded[first:last].decode()
