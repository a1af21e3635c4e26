"""Contrast pairs weighted by how sure the labeler is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mt.choice import Positive
from mt.selection.base import Selected, counted
from mt.selection.contrast import gains
from mt.selection.label_filters import LabelFilter
from mt.types import Pair, Rewards


class Confidence(LabelFilter):
    """Weight contrast pairs by the probability that the labeler gives to the new response."""

    score_scale: Positive
    """Scale > 0 of rewards inside that probability."""

    def apply(self, pairs: Sequence[Pair], old_rewards: Sequence[Rewards]) -> Selected[Pair]:
        """Weight the pairs by σ(`score_scale`·gain), scaled to mean 1 so that they keep their share when mixed."""
        logs = [_log_sigmoid(self.score_scale * gain) for gain in gains(pairs)]
        masses = [math.exp(log - max(logs)) for log in logs]
        scale = len(masses) / (math.fsum(masses) or 1)
        rows = [replace(pair, weight=mass * scale) for pair, mass in zip(pairs, masses, strict=True)]
        return Selected(rows, counted(len(pairs), len(rows), Counter(), ()))


def _log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))
