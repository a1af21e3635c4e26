"""Selection: from sampled responses and their rewards to the rows that models are trained on, as pure functions.

Every selection returns its rows with counts: prompts seen, rows kept, prompts dropped for each reason.
"""

from mt.selection.base import Candidates, Selected, Selection, distinct
from mt.selection.contrast import against_demonstrations, contrast, gains, mix
from mt.selection.demonstrations import DemonstrationSelection
from mt.selection.elo import elo
from mt.selection.meta_rewarding import (
    Verdict,
    average_scores,
    battles,
    judge_pairs,
    most_varied,
    position_weights,
)
from mt.selection.mixture import Combine, ensemble_rewards, mixed_rewards
from mt.selection.pairs import PairSelection, Picks, win_probabilities

__all__ = [
    "Candidates",
    "Combine",
    "DemonstrationSelection",
    "PairSelection",
    "Picks",
    "Selected",
    "Selection",
    "Verdict",
    "against_demonstrations",
    "average_scores",
    "battles",
    "contrast",
    "distinct",
    "elo",
    "ensemble_rewards",
    "gains",
    "judge_pairs",
    "mix",
    "mixed_rewards",
    "most_varied",
    "position_weights",
    "win_probabilities",
]
