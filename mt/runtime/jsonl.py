"""One append-only file of JSON lines: what a kill or a full disk cuts short harms no other line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from mt.errors import DataError, MutualTaughtError
from mt.runtime.text import parse_json

T = TypeVar("T")
Refuse = Literal["nothing", "foreign", "damaged"]


class JsonLines(Generic[T]):
    """A file with one row (a JSON object or array) on each line, written by one process or several.

    - A row is in the file when `append` returns, and survives the end of the process; with `sync` it also survives
      the end of the machine. A line is written by one call of the system, so that appending processes do not mix.
    - A line that was cut short is ended before the next one, and is no row.
    - Rows are validated as `kind` (anything that pydantic takes). `refuse` says which lines raise `error` with file
      and line, instead of being left out: "damaged" refuses what is not JSON or of another kind, "foreign" JSON of
      another kind only. The last line may be cut in any case.
    - Threads may share it.
    """

    def __init__(
        self,
        path: Path,
        kind: type[T] | Any = Any,
        *,
        refuse: Refuse = "nothing",
        error: type[MutualTaughtError] = DataError,
        sync: bool = False,
    ) -> None:
        self.path = path
        self.refuse: Refuse = refuse
        self.error = error
        self.sync = sync
        self._adapter: TypeAdapter[T] = _adapter(kind)  # type: ignore[arg-type]  # a class is hashable
        self._file: io.FileIO | None = None
        self._lock = threading.Lock()
        self._ended = False
        """Whether the file's last line is known to be whole."""
        self._followed = 0
        """Bytes that `follow` has passed on."""

    def append(self, *rows: object) -> None:
        """Add rows of plain JSON values; raises OSError with the file's name, also where the disk is full."""
        lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        with self._lock:
            try:
                self._write(lines)
            except OSError as error:
                error.filename = str(self.path)  # writing to a full disk names no file
                raise

    def read(self) -> Iterator[T]:
        """Yield the rows from the first one on; none where there is no file."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield from self._row(line, number, whole=line.endswith(b"\n"))

    def follow(self) -> Iterator[T]:
        """Yield the rows that were completed since the last call, while another process writes them."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._followed)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._followed += len(line)
                yield from self._row(line, None, whole=True)

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, lines: bytes) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(self.path, "a+")
            self._ended = False
        if not self._ended and (end := self._file.seek(0, os.SEEK_END)):
            self._file.seek(end - 1)
            lines = b"\n" * (self._file.read(1) != b"\n") + lines
        self._ended = False  # until all of it is written
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]
        if self.sync:
            os.fsync(self._file.fileno())
        self._ended = True

    def _row(self, line: bytes, number: int | None, *, whole: bool) -> Iterator[T]:
        if not line.strip():
            return
        try:
            yield self._adapter.validate_python(parse_json(line))
        except ValueError as failure:
            foreign = isinstance(failure, ValidationError)
            if whole and (self.refuse == "damaged" or (foreign and self.refuse == "foreign")):
                where = f"{self.path}" if number is None else f"{self.path} line {number}"
                why = problem(failure) if isinstance(failure, ValidationError) else f"not JSON: {failure}"
                raise self.error(f"{where}: cannot be read ({why}). Delete the line to go on") from None


class Journal:
    """The finished items of a stage, so that a killed one goes on at the items still missing.

    Each line holds an item and its checksum: one that was damaged meanwhile is left out, and computed again.
    """

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines[tuple[str, Any]](path, tuple[str, Any])
        self.items: list[Any] = [item for checksum, item in self._lines.read() if checksum == _checksum(item)]

    def append(self, item: object) -> None:
        """Add an item."""
        self._lines.append([_checksum(item), item])
        self.items.append(item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()


def _checksum(item: object) -> str:
    return hashlib.sha256(json.dumps(item).encode()).hexdigest()[:16]


def problem(error: ValidationError) -> str:
    """Return where a value is not as expected, and why, for one line."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
