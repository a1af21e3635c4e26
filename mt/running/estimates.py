"""How long stages take, learnt from those of the same kind that finished before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from mt.workflow.store import Store


class Estimates:
    """Mean seconds by stage name, from the store and from what finishes now."""

    def __init__(self, seen: Iterable[tuple[str, float]] = ()) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        for name, seconds in seen:
            self.learn(name, seconds)

    @classmethod
    def of_store(cls, store: Store) -> Estimates:
        """Learn from every artifact of a store."""
        return cls((one.facts["stage"], float(one.facts["seconds"])) for one in store.artifacts())

    def learn(self, name: str, seconds: float) -> None:
        """Take one finished stage into account."""
        self._seconds[name].append(seconds)

    def of(self, name: str) -> float:
        """Return the mean seconds of a stage, 0 where none was seen."""
        return fmean(self._seconds[name]) if self._seconds.get(name) else 0.0

    def remaining(self, names: Sequence[str]) -> float | None:
        """Return the seconds that stages will take; None while too few stages of their kinds have been timed."""
        known = [name for name in names if self._seconds.get(name)]
        if not names or len(known) < 0.8 * len(names):
            return None
        return sum(self.of(name) for name in known) * len(names) / len(known)
