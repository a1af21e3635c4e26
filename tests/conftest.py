"""What all tests have in common: their examples, and a terminal whose width nobody has set.

Property tests draw the same examples in every run, so that a run says what changed, not what was drawn;
`HYPOTHESIS_PROFILE=search` draws new ones, ten times as many where a test does not say how many.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
os.environ.pop("COLUMNS", None)  # pytest-xdist tells its processes the terminal's width
