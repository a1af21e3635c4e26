"""Contrast pairs whose gain the labeler sees clearly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from mt.selection.base import Selected, counted
from mt.selection.contrast import gains
from mt.selection.label_filters import LabelFilter
from mt.types import Pair, Rewards


class Margin(LabelFilter):
    """Keep the contrast pairs whose new response the labeler prefers too, by more than a margin."""

    margin: Annotated[float, Field(allow_inf_nan=False)]
    """The new response's reward must exceed the old one's by more than this; 0 keeps what the labeler prefers."""

    def apply(self, pairs: Sequence[Pair], old_rewards: Sequence[Rewards]) -> Selected[Pair]:
        """Keep the pairs whose chosen response the labeler prefers by more than the margin."""
        kept = [pair for pair, gain in zip(pairs, gains(pairs), strict=True) if gain > self.margin]
        dropped = Counter({"small_gain": len(pairs) - len(kept)})
        return Selected(kept, counted(len(pairs), len(kept), dropped, ("small_gain",)))
