"""Moments are shown in local time, whatever zone they were recorded in."""

from __future__ import annotations

import time

import pytest

from mt.runtime.clock import local_time


def test_a_moment_is_shown_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert local_time("2026-01-15T12:00:00+00:00") == "2026-01-15 07:00"
        assert local_time("2026-01-15T12:00:00+01:00") == "2026-01-15 06:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert local_time(None) == "" and local_time("once upon a time") == ""
