"""Property tests draw the same examples in every run, so that a run says what changed, not what was drawn.

`HYPOTHESIS_PROFILE=search` draws new ones, ten times as many where a test does not say how many.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
