"""The library that draws: plotly.js as the installed Python package brings it, so that a page needs no network."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


@cache
def packed_library() -> bytes:
    """Return the library, gzipped."""
    return gzip.compress(_file().read_bytes(), 6, mtime=0)


def library() -> str:
    """Return the library as a script."""
    return _file().read_text("utf-8")


def _file() -> Path:
    """Return where it lies; the Python package itself is not imported, it is slow."""
    (folder,) = find_spec("plotly").submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(folder) / "package_data" / "plotly.min.js"
