"""The terminal, or the file, that a command prints on, and local times."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from rich.console import Console


def terminal(file_width: int | None = 120, kind: type[Console] = Console, **options: Any) -> Console:
    """Return the terminal as a console; `file_width` are the columns where the output goes elsewhere, unless COLUMNS
    says how many.

    Text is printed as it stands: rich would put a picture in the place of a value such as `a:b:`.
    """
    console = kind(emoji=False, **options)
    return console if console.is_terminal else kind(emoji=False, width=asked_width() or file_width, **options)


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """Print a text as it stands, in one line of any length: paths and commands stay whole where they are copied."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def asked_width() -> int | None:
    """Return the columns that the environment asks for (COLUMNS), which hold where there is no terminal, too."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) else None


def local_time(moment: str | None) -> str:
    """Return a recorded moment in this machine's time, such as "2026-03-01 14:05"; empty for none, or for no moment."""
    try:
        return f"{datetime.fromisoformat(moment or '').astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def utc_time(moment: str | None) -> str:
    """Return a recorded moment in UTC, as a text that sorts by time; empty for none, or for no moment.

    One without an offset is in UTC, as W&B's are.
    """
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return ""
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """Return a time span for people: "48 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
