"""An append-only file of finished items, so that a killed stage goes on at the items still missing."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Journal:
    """JSON lines written as they come; a line cut by a kill is dropped when the journal is read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.items: list[Any] = list(_whole_lines(path))
        self._file = path.open("a")

    def append(self, item: Any) -> None:
        """Add one item; it survives the end of this process, however it ends."""
        self.items.append(item)
        self._file.write(json.dumps(item, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _whole_lines(path: Path) -> list[Any]:
    """Return the items of complete lines, and cut the file behind the last of them."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]
