"""Objectives: pure tensor functions from log-probabilities (or rewards) to one loss per pair, with metrics.

`OBJECTIVES[name](batch, **settings)` is the one way to call a policy objective; `bradley_terry` trains reward
models. Importing this package, and reading what an objective needs, imports no torch.
"""

from mt.objectives.batch import Losses, Metrics, PairLogps, ResponseLogps, preference_metrics
from mt.objectives.bradley_terry import bradley_terry
from mt.objectives.registry import OBJECTIVES, LearnsFrom, Objective

__all__ = [
    "OBJECTIVES",
    "LearnsFrom",
    "Losses",
    "Metrics",
    "Objective",
    "PairLogps",
    "ResponseLogps",
    "bradley_terry",
    "preference_metrics",
]
