"""Demonstrations: the best of the K responses."""

from __future__ import annotations

from mt.selection.base import Candidates
from mt.selection.demonstrations import DemonstrationSelection


class BestOfK(DemonstrationSelection):
    """Demonstrations: the response with the highest reward."""

    def weigh(self, prompt: Candidates) -> list[tuple[int, float]]:
        """Take the response with the highest reward, among equals the one sampled first."""
        return [(prompt.rewards.index(max(prompt.rewards)), 1.0)]
