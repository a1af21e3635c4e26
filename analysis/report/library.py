"""The library that draws: plotly.js's basic bundle (points, lines, bars), a quarter of the whole, as it is published.

`assets/plotly-basic-4.1.1.min.js.gz` is `plotly.js-basic-dist-min` 4.1.1 (MIT licence, its notice inside), gzipped.
"""

from __future__ import annotations

import gzip
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
_FILE = ASSETS / "plotly-basic-4.1.1.min.js.gz"


def packed_library() -> bytes:
    """Return the library, gzipped."""
    return _FILE.read_bytes()


def library() -> str:
    """Return the library as a script."""
    return gzip.decompress(packed_library()).decode("utf-8")
