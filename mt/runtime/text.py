"""Texts: counted things, large numbers, JSON of any depth, and halves of surrogate pairs, which no file holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def counted(number: int, noun: str) -> str:
    """Return a number of things, as in "1 run" and "2,000 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(texts: Sequence[str], most: int) -> list[str]:
    """Return at most so many texts, and behind them how many more there are, as in "and 3 more"."""
    return [*texts[:most], *([f"and {len(texts) - most:,} more"] if len(texts) > most else [])]


def scaled(value: float, unit: str = "") -> str:
    """Return a large number by its prefix, as in "820 B", "1.2 MB", "171,639.4 PFLOP" and, without a unit, "61.0k"."""
    prefixes = iter("kMGTP")
    prefix = ""
    while value >= 1000 and prefix != "P":
        value, prefix = value / 1000, next(prefixes)
    return f"{value:,.{1 if prefix else 0}f}{' ' if unit else ''}{prefix}{unit}"


def half_character(text: str) -> int | None:
    """Return where a text has half a surrogate pair, or None where all its characters are whole."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def whole(text: str) -> str:
    """Return a text with U+FFFD in place of each half of a surrogate pair."""
    return text if half_character(text) is None else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def broken_text(value: Any) -> str | None:
    """Return the first text in plain data that has half a surrogate pair, or None."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and half_character(one) is not None:
            return one
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return None


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; raises ValueError for whatever is none, also what is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("a number of more than 4300 digits") from None
        raise
