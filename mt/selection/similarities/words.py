"""The words that two texts share in the same order."""

from __future__ import annotations

from difflib import SequenceMatcher

from mt.selection.similarities import Similarity


class Words(Similarity):
    """The share of words in matching runs (Ratcliff and Obershelp, by Python's difflib)."""

    def between(self, first: str, second: str) -> float:
        """Return 2·matching/total words; 1 for two empty texts."""
        # The ratio depends on the order of the two in rare cases: they are put in an order of their own.
        one, other = sorted((first.split(), second.split()))
        return SequenceMatcher(None, one, other, autojunk=False).ratio()
