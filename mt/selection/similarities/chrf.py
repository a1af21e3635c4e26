"""chrF (Popović 2015), by the sacrebleu package."""

from __future__ import annotations

from importlib.util import find_spec

from mt.errors import MissingPackageError, describe
from mt.selection.similarities import Similarity


class Chrf(Similarity):
    """F-score of character n-grams (chrF, Popović 2015): six characters, recall twice as important as precision."""

    def check(self) -> None:
        """Raise MissingPackageError where sacrebleu is not installed."""
        if find_spec("sacrebleu") is None:
            fix = "Install it (pip install sacrebleu), or choose words"
            raise MissingPackageError(describe("similarity", "chrf", "sacrebleu is not installed", fix=fix))

    def between(self, first: str, second: str) -> float:
        """Return the mean of chrF with either text as the reference, divided by 100."""
        from sacrebleu.metrics.chrf import CHRF

        chrf = CHRF()
        scores = [chrf.sentence_score(one, [other]).score for one, other in ((first, second), (second, first))]
        return float(sum(scores)) / 200
