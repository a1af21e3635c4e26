"""Moments as records and screens have them: local time, with its offset where machines read it."""

from __future__ import annotations

from datetime import UTC, datetime


def local_time(moment: str | None) -> str:
    """Return a recorded moment in this machine's time, such as "2026-03-01 14:05"; empty for none, or for no moment."""
    try:
        return f"{datetime.fromisoformat(moment or '').astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def utc_time(moment: str | None) -> str:
    """Return a recorded moment in UTC, as a text that sorts by time; empty for none, or for no moment.

    One without an offset is in UTC, as W&B's are.
    """
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return ""
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
