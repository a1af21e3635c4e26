"""The terminal, or the file, that a command prints on."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def terminal(file_width: int | None = 120, kind: type[Console] = Console, **options: Any) -> Console:
    """Return the terminal as a console; `file_width` are the columns where the output goes elsewhere.

    Text is printed as it stands: rich would put a picture in the place of a value such as `a:b:`.
    """
    console = kind(emoji=False, **options)
    return console if console.is_terminal else kind(emoji=False, width=file_width, **options)
