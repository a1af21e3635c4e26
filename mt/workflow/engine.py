"""The one engine that an execution keeps open: stages that ask for the same one follow each other without a load."""

from __future__ import annotations

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
    then the first.
    """
    waiting, order, key = list(stages), list[Stage](), None
    left = {stage.key for stage in waiting}
    while waiting:
        ready = [stage for stage in waiting if left.isdisjoint(one.key for one in stage.inputs())]
        own = [stage for stage in ready if key is not None and stage.opens == key]
        free = [stage for stage in ready if stage.NEEDS != "gpu"]
        chosen = (own or free or ready)[0]
        key = chosen.opens if chosen.NEEDS == "gpu" else key
        waiting.remove(chosen)
        left.discard(chosen.key)
        order.append(chosen)
    return order
