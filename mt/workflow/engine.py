"""The one engine that an execution keeps open: stages that ask for the same one follow each other without a load."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from mt.workflow.stage import Stage

T = TypeVar("T")


class OpenEngine:
    """At most one open engine, by the settings and the model that it was opened with."""

    def __init__(self) -> None:
        self.key: str | None = None
        self._engine: Any = None
        self._held = ExitStack()

    def get(self, key: str, opened: Callable[[], AbstractContextManager[T]]) -> T:
        """Return the engine of this key; what is open under another one is closed first."""
        if self.key != key:
            self.close()
            self._engine = self._held.enter_context(opened())
            self.key = key
        engine: T = self._engine
        return engine

    def close(self) -> None:
        """Close the engine, which gives its memory back."""
        self.key = self._engine = None
        self._held.close()


def in_order_of_engines(stages: Iterable[Stage]) -> list[Stage]:
    """Return stages in an order in which they can run and few engines are opened.

    Among those that are ready, the ones of the open engine come first, then those that need no GPU and leave it open,
    then the first. Of one engine the stage with the longest sequences comes first: vLLM starts with room for them, and
    would start again for longer ones.
    """
    stages = list(stages)
    place = {stage.key: number for number, stage in enumerate(stages)}
    above = [{place[one.key] for one in stage.inputs() if one.key in place} for stage in stages]
    below: list[list[int]] = [[] for _ in stages]
    for number, inputs in enumerate(above):
        for one in inputs:
            below[one].append(number)
    opens = [stage.opens if stage.NEEDS == "gpu" else None for stage in stages]
    longest = [use.sequence if (use := stage.use()) else 0 for stage in stages]
    ready, order, key = [number for number, inputs in enumerate(above) if not inputs], list[Stage](), None
    while ready:
        own = (number for number in ready if key is not None and opens[number] == key)
        free = (number for number in ready if stages[number].NEEDS != "gpu")
        chosen = next(own, next(free, ready[0]))
        if opens[chosen] is not None:
            chosen = max((one for one in ready if opens[one] == opens[chosen]), key=longest.__getitem__)
        key = opens[chosen] if stages[chosen].NEEDS == "gpu" else key
        ready.remove(chosen)
        order.append(stages[chosen])
        for number in below[chosen]:
            above[number].discard(chosen)
            if not above[number]:
                bisect.insort(ready, number)
    return order


def loads(stages: Iterable[Stage]) -> dict[str, int]:
    """Return by key how many models are loaded for each stage, where they are computed in this order: 0 or 1."""
    found: dict[str, int] = {}
    key: str | None = None
    for stage in stages:
        if stage.NEEDS == "gpu":
            found[stage.key] = int(stage.opens is None or stage.opens != key)
            key = stage.opens
    return found
