"""Small batches in float64, so that numbers derived by hand can be checked to many digits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mt.objectives import OBJECTIVES, PairLogps, ResponseLogps

SETTINGS: dict[str, dict[str, Any]] = {
    "dpo": {"beta": 0.3, "label_smoothing": 0.0},
    "robust": {"beta": 0.3, "flip_rate": 0.2},
    "ipo": {"tau": 0.2, "per_token": True},
    "simpo": {"beta": 2.0, "gamma": 0.5},
    "sppo": {"beta": 0.1},
    "slic": {"margin": 50.0, "regularization": 0.1},
    "hinge": {"beta": 0.05},
    "kto": {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5, "reference_point": "zero"},
    "orpo": {"odds_weight": 0.5},
    "selm": {"beta": 0.3, "alpha": 0.01},
    "xpo": {"beta": 0.3, "alpha": 0.001},
    "sft": {"per_token": False},
}
PAIRWISE = [name for name, objective in OBJECTIVES.items() if objective.learns_from == "pairs"]


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def one_pair(**changes: Any) -> PairLogps:
    """One pair: log-probabilities −10 and −12, reference −11 and −11, so log-ratios 1 and −1."""
    values: dict[str, Any] = {
        "chosen_B": column(-10),
        "rejected_B": column(-12),
        "chosen_length_B": torch.tensor([5]),
        "rejected_length_B": torch.tensor([4]),
        "reference_chosen_B": column(-11),
        "reference_rejected_B": column(-11),
        "chosen_win_probability_B": column(0.75),
        "rejected_win_probability_B": column(0.25),
    }
    return PairLogps(**values | changes)


def random_pairs(size: int, seed: int = 0, *, grad: bool = False) -> PairLogps:
    """A batch of pairs with all optional facts but weights."""
    rng = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(size, generator=rng, dtype=torch.float64) * (high - low) + low

    chosen_B, rejected_B = (uniform(-20, -5).requires_grad_(grad) for _ in range(2))
    lengths = [torch.randint(2, 9, (size,), generator=rng) for _ in range(2)]
    reference = [chosen_B.detach() + uniform(-2, 2), rejected_B.detach() + uniform(-2, 2)]
    wins = [uniform(0.5, 1), uniform(0, 0.5)]
    return PairLogps(chosen_B, rejected_B, *lengths, *reference, *wins)


def random_responses(size: int, seed: int = 0) -> ResponseLogps:
    pairs = random_pairs(size, seed)
    return ResponseLogps(pairs.chosen_B, pairs.chosen_length_B)
