"""Moments as records and screens have them: local time, with its offset where machines read it."""

from __future__ import annotations

from datetime import datetime


def local_time(moment: str | None) -> str:
    """Return a recorded moment in this machine's time, such as "2026-03-01 14:05"; empty for none, or for no moment."""
    try:
        return f"{datetime.fromisoformat(moment or '').astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""
