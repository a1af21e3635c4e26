"""Objectives: policy losses from log-probabilities to one loss per row, one class and one file each.

No module here imports torch at its top: reading an objective's settings and needs is cheap.
"""

from mt.objectives.base import Objective, PairObjective
from mt.objectives.batch import Losses, Metrics, PairLogps, ResponseLogps, preference_metrics

__all__ = ["Losses", "Metrics", "Objective", "PairLogps", "PairObjective", "ResponseLogps", "preference_metrics"]
