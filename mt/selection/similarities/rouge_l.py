"""ROUGE-L (Lin 2004), by the rouge-score package."""

from __future__ import annotations

from importlib.util import find_spec

from mt.errors import MissingPackageError, describe
from mt.selection.similarities import Similarity


class _Words:
    """Words as they are written, in any script: the package's own tokenizer keeps a-z and digits only."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words."""
        return text.split()


class RougeL(Similarity):
    """F1 of the longest common subsequence of words (ROUGE-L, Lin 2004)."""

    def check(self) -> None:
        """Raise MissingPackageError where rouge-score is not installed."""
        if find_spec("rouge_score") is None:
            fix = "Install it (pip install rouge-score), or choose words"
            raise MissingPackageError(describe("similarity", "rouge_l", "rouge-score is not installed", fix=fix))

    def between(self, first: str, second: str) -> float:
        """Return 2·LCS/(words of both); a text without words is like no other."""
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(["rougeL"], tokenizer=_Words())
        return float(scorer.score(first, second)["rougeL"].fmeasure)
