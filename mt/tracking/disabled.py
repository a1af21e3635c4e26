"""No tracker."""

from __future__ import annotations

from collections.abc import Callable

from mt.tracking.base import RunInfo, Tracking


class DisabledTracking(Tracking):
    """The run's own record only."""

    def open(self, run: RunInfo, say: Callable[[str], None]) -> None:
        """Report to nobody."""
