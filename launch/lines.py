"""Files of JSON lines that several processes append to: what a kill or a full disk cut short harms nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mt.errors import LaunchError

T = TypeVar("T")


def append(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows, on the disk when this returns; a line that was cut short before is ended first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    with file.open("a+b") as lines:
        end = lines.seek(0, os.SEEK_END)
        lines.seek(max(0, end - 1))
        cut = lines.read(1) not in (b"", b"\n")
        lines.write(b"\n" * cut + text.encode())
        lines.flush()
        os.fsync(lines.fileno())


def read(file: Path, kind: type[T]) -> list[T]:
    """Return the complete lines of a file, none where there is no file; raises LaunchError for foreign ones."""
    found = []
    for line in file.read_bytes().splitlines() if file.exists() else []:
        try:
            found.append(_adapter(kind).validate_json(line))  # type: ignore[arg-type]  # a class is hashable
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":  # cut short, and so it never was
                raise LaunchError(f"{file}: cannot be read ({problem(error)})") from None
    return found


def problem(error: ValidationError) -> str:
    """Return where a value is not as expected, and why, for one line."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)
