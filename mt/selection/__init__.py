"""Selection: from sampled responses and their rewards to the rows that models are trained on, as pure functions.

Every selection returns its rows with counts: prompts seen, rows kept, prompts dropped for each reason.
"""

from typing import Literal

from mt.selection.base import Selection, distinct
from mt.selection.contrast import against_demonstrations, contrast, filter_by_margin, gains, mix, weight_by_confidence
from mt.selection.demonstrations import DEMONSTRATION_RULES, select_demonstrations
from mt.selection.elo import elo
from mt.selection.meta_rewarding import (
    Verdict,
    average_scores,
    battles,
    judge_pairs,
    most_varied,
    position_weights,
)
from mt.selection.pairs import PAIR_RULES, select_pairs, win_probabilities

__all__ = [
    "DEMONSTRATION_RULES",
    "PAIR_RULES",
    "Selection",
    "Verdict",
    "against_demonstrations",
    "average_scores",
    "battles",
    "contrast",
    "distinct",
    "elo",
    "filter_by_margin",
    "gains",
    "judge_pairs",
    "makes",
    "mix",
    "most_varied",
    "position_weights",
    "select_demonstrations",
    "select_pairs",
    "weight_by_confidence",
    "win_probabilities",
]


def makes(rule: str) -> Literal["pairs", "demonstrations"]:
    """Return what the selection rule of that name makes, to be held against `Objective.learns_from`."""
    return "pairs" if rule in PAIR_RULES else "demonstrations"
