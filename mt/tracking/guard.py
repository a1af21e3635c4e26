"""The boundary between a run and its tracker: no secret passes it, and nothing that happens behind it stops the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mt.errors import first_line
from mt.runtime.redact import redact
from mt.tracking.base import Reporting, RunInfo, TableValue, Tracker

_MARGIN_S = 10.0
"""Seconds beyond its limit that the end has, which itself waits so long for an upload."""


def failed(error: BaseException, call: str = "") -> str:
    """Return in one line how a tracker failed, and in which call."""
    return f"tracking failed ({call}{type(error).__name__}: {first_line(error)})"


def goes_on(trouble: str, fix: str = "") -> str:
    """Return what a tracker's trouble means for the run."""
    return f"{trouble}. The run goes on, and its record is complete{fix}"


class Guarded:
    """A tracker whose calls never raise; the first call that takes longer than `timeout_s` ends its use.

    A run therefore loses at most `timeout_s` seconds to its tracker. The first failure is reported.
    """

    tracker: Tracker

    def __init__(self, settings: Reporting, say: Callable[[str], None], fix: str = "") -> None:
        self.settings, self.limit_s, self._say, self._fix = settings, settings.timeout_s, say, fix
        self._said = self._given_up = False

    def start(self, tracker: Tracker, run: RunInfo) -> None:
        """Start the tracker with the run's facts, without its secrets."""
        self.tracker = tracker
        self._call(self.limit_s, tracker.start, replace(run, config=redact(run.config)))

    def log(self, values: Mapping[str, float], axis: str, step: int) -> None:
        """Report values."""
        self._call(self.limit_s, self.tracker.log, values, axis, step)

    def table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[TableValue]], iteration: int | None
    ) -> None:
        """Show a table without secrets."""
        self._call(self.limit_s, self.tracker.table, name, columns, redact(rows), iteration)

    def finish(self, state: str, record: Path) -> None:
        """End."""
        self._call(self.limit_s + _MARGIN_S, self.tracker.finish, state, record)

    def trouble(self, text: str) -> None:
        """Say what went wrong, once (from any thread)."""
        if not self._said:
            self._said = True
            self._say(goes_on(text, self._fix))

    def _call(self, limit_s: float, call: Callable[..., None], *arguments: Any) -> None:
        if self._given_up:
            return
        error = _within(limit_s, call, *arguments)
        if isinstance(error, TimeoutError):
            self._given_up = True
            _within(_MARGIN_S, self.tracker.give_up)
        if error is not None:
            self.trouble(failed(error, f"{call.__name__}: "))


def _within(limit_s: float, call: Callable[..., None], *arguments: Any) -> BaseException | None:
    """Call in a thread and return what went wrong; a call that hangs keeps its thread until the process ends."""
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
