"""What the measurements share: tables of the store, files of rows that grow by runs, and pages that scripts write."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mt.runtime.lock import Lock
from mt.types import Rewards
from mt.workflow.stage import Stage
from mt.workflow.store import Store
from mt.workflow.tables import read
from mt.workflow.work import TABLE

T = TypeVar("T")


def rows_of(store: Store, stage: Stage, row_type: type[T]) -> list[T]:
    """Return a stage's table."""
    return read(store.path(stage) / TABLE, row_type)


def rewards_of(store: Store, stage: Stage) -> dict[str, list[float]]:
    """Return a table of rewards by prompt."""
    return {row.prompt_id: row.rewards for row in rows_of(store, stage, Rewards)}


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a finished run's rows behind the others, in one piece: several measurements may share the file."""
    with Lock(path.with_suffix(".lock")).hold():
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        if not path.is_file():
            writer.writeheader()
        writer.writerows(rows)
        with path.open("a", newline="") as file:
            file.write(text.getvalue())


def write_between_marks(page: Path, module: str, text: str) -> None:
    """Replace what a script wrote into a page before: what stands between its mark and the end mark."""
    begin, end = f"<!-- written by python -m {module} -->\n", "<!-- end -->\n"
    old = page.read_text("utf-8")
    page.write_text(re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{text}{end}", old, flags=re.DOTALL), "utf-8")
