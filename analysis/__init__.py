"""From runs to tables: `analysis.load(…)` gives one tidy frame; tables, figures and notebooks read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.frame import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import pandas only where a frame is asked for."""
    if name == "load":
        from analysis.frame import load

        return load
    raise AttributeError(f"module 'analysis' has no attribute '{name}'")
