"""Moments are shown in local time and sorted in UTC, whatever their recorded zone; output is as wide as asked."""

from __future__ import annotations

import io
import time

import pytest

from mt.runtime.terminal import local_time, terminal, utc_time


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


def test_moments_sort_by_time_whatever_zone_they_were_recorded_in() -> None:
    tokyo, utc, wandb = "2026-01-15T12:00:00.250+09:00", "2026-01-15T04:00:00Z", "2026-01-15T05:00:00"
    assert sorted([wandb, utc, tokyo], key=utc_time) == [tokyo, utc, wandb]
    assert utc_time(tokyo) == "2026-01-15T03:00:00.250+00:00"
    assert utc_time(None) == "" and utc_time("once upon a time") == ""


@pytest.mark.parametrize(("asked", "columns"), [("100", 100), ("", 120), ("0", 120), ("wide", 120)])
def test_output_that_goes_elsewhere_is_as_wide_as_columns_asks(
    monkeypatch: pytest.MonkeyPatch, asked: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", asked)
    assert terminal(file=io.StringIO()).width == columns
