"""Contrast pairs that the labeler does not find clearly worse (arXiv 2506.06292)."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from mt.choice import NotNegative
from mt.selection.base import Selected, counted
from mt.selection.contrast import gains
from mt.selection.label_filters import LabelFilter
from mt.types import Pair, Rewards


class Deviation(LabelFilter):
    """Keep the contrast pairs whose new response is worse by less than ε_t, the spread of the old policy's rewards."""

    deviations: NotNegative
    """ε_t in standard deviations of the labeler's rewards of all responses that the old policy gave to D_R."""

    def apply(self, pairs: Sequence[Pair], old_rewards: Sequence[Rewards]) -> Selected[Pair]:
        """Keep the pairs with Δr > −ε_t, Δr the chosen response's reward over the rejected one's."""
        epsilon = self.deviations * statistics.pstdev(reward for row in old_rewards for reward in row.rewards)
        kept = [pair for pair, gain in zip(pairs, gains(pairs), strict=True) if gain > -epsilon]
        dropped = Counter({"clearly_worse": len(pairs) - len(kept)})
        return Selected(kept, counted(len(pairs), len(kept), dropped, ("clearly_worse",)))
