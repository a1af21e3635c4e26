"""Cheap stages for tests of the workflow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from mt.types import Prompt
from mt.workflow.stage import Stage
from mt.workflow.work import Work


@dataclass(frozen=True, eq=False)
class Number(Stage):
    """Writes one prompt whose text is a number."""

    VERSION: ClassVar[int] = 1
    value: int

    def run(self, work: Work) -> None:
        work.count(value=self.value)
        work.write([Prompt("only", [{"role": "user", "content": str(self.value)}])], Prompt)


@dataclass(frozen=True, eq=False)
class Sum(Stage):
    """Adds its inputs' numbers."""

    VERSION: ClassVar[int] = 1
    terms: tuple[Stage, ...]
    seconds: float = 0.0
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"seconds"})

    def run(self, work: Work) -> None:
        total = sum(int(work.rows(Prompt, term)[0].messages[0]["content"]) for term in self.terms)
        time.sleep(self.seconds)
        work.count(value=total)
        work.write([Prompt("only", [{"role": "user", "content": str(total)}])], Prompt)


@dataclass(frozen=True, eq=False)
class Fail(Stage):
    """Fails always."""

    VERSION: ClassVar[int] = 1
    after: Stage

    def run(self, work: Work) -> None:
        raise ValueError("as it should")


@dataclass(frozen=True, eq=False)
class Resumable(Stage):
    """Writes a line of its journal per item, and stops after `patience` new ones."""

    VERSION: ClassVar[int] = 1
    items: int
    patience: int
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"patience"})

    def run(self, work: Work) -> None:
        from mt.runtime.jsonl import Journal

        with Journal(work.scratch / "items.jsonl") as journal:
            begun = len(journal.items)
            for item in range(begun, self.items):
                if item - begun >= self.patience:
                    raise KeyboardInterrupt
                journal.append(item)
                work.curve(item, value=float(item))
            work.count(resumed_at=begun)
            work.write([Prompt(str(item), []) for item in journal.items], Prompt)
