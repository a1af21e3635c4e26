"""How the labeler's rewards filter or weight contrast pairs, one class and one file each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from mt.choice import Choice
from mt.selection.base import Selected
from mt.types import Pair, Rewards


class LabelFilter(Choice):
    """A doubt about contrast labels (`rm_data.label_filter`)."""

    GROUP: ClassVar[str] = "rm_data.label_filter"
    PACKAGE: ClassVar[str] = "mt.selection.label_filters"

    @abstractmethod
    def apply(self, pairs: Sequence[Pair], old_rewards: Sequence[Rewards]) -> Selected[Pair]:
        """Return the pairs that are kept, with their weights; DataError for pairs without finite rewards.

        Args:
            pairs: The contrast pairs with the labeler's rewards.
            old_rewards: Its rewards of all of the old policy's responses.
        """
