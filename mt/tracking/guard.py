"""The boundary between a run and its tracker: no secret passes it, and nothing that happens behind it stops the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mt.runtime.redact import redact
from mt.tracking.base import Cell, Reporting, RunInfo, Tracker

_MARGIN_S = 10.0
"""Seconds beyond its limit that the end has, which itself waits so long for an upload."""


class Guarded:
    """A tracker whose calls never raise, and which is given up as soon as one of them takes longer than `timeout_s`.

    A run therefore loses so many seconds to its tracker at most, once. The first thing that goes wrong is said.
    """

    tracker: Tracker

    def __init__(self, settings: Reporting, say: Callable[[str], None], mend: str = "") -> None:
        self.settings, self.limit_s, self._say, self._mend = settings, settings.timeout_s, say, mend
        self._said = self._given_up = False

    def start(self, tracker: Tracker, run: RunInfo) -> None:
        """Introduce the run, without its secrets, to the tracker that is told from now on."""
        self.tracker = tracker
        self._call(self.limit_s, tracker.start, replace(run, config=redact(run.config)))

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        """Report values."""
        self._call(self.limit_s, self.tracker.log, values, axis, step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], iteration: int | None) -> None:
        """Show a table without secrets."""
        self._call(self.limit_s, self.tracker.table, name, columns, redact(rows), iteration)

    def finish(self, state: str, record: Path) -> None:
        """End."""
        self._call(self.limit_s + _MARGIN_S, self.tracker.finish, state, record)

    def trouble(self, text: str) -> None:
        """Say what went wrong, once (from any thread)."""
        if not self._said:
            self._said = True
            self._say(f"{text}. The run goes on, and its record is complete{self._mend}")

    def _call(self, limit_s: float, call: Callable[..., None], *arguments: Any) -> None:
        if self._given_up:
            return
        error = _within(limit_s, call, *arguments)
        if isinstance(error, TimeoutError):
            self._given_up = True
            _within(_MARGIN_S, self.tracker.give_up)
        if error is not None:
            first = next(iter(str(error).splitlines()), "")
            self.trouble(f"tracking failed ({call.__name__}: {type(error).__name__}: {first})")


def _within(limit_s: float, call: Callable[..., None], *arguments: Any) -> BaseException | None:
    """Call in a thread, which a hanging call keeps and which ends with the process; return what went wrong."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            call(*arguments)
        except BaseException as error:  # the boundary to somebody else's client, which even exits
            errors.append(error)

    thread = threading.Thread(target=guarded, daemon=True, name=f"tracker {call.__name__}")
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        return TimeoutError(f"it took longer than {limit_s:g} s; nothing more is tracked")
    return errors[0] if errors else None
