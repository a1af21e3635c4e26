"""Small batches in float64, so that numbers derived by hand can be checked to many digits."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from mt.choice import names, option
from mt.config.compose import compose_runs, options
from mt.objectives import Objective, PairLogps, ResponseLogps

NAMES = names(Objective)
PAIRWISE = [name for name in NAMES if option(Objective, name).learns_from == "pairs"]
EXAMPLES: dict[str, dict[str, Any]] = {
    "ipo": {"tau": 0.2},
    "slic": {"margin": 50.0},  # above every margin of these batches
    "hinge": {"beta": 0.05},
    "kto": {"reference_point": "zero"},
}
"""Settings under which what holds for every objective can be seen; the others are those of its file in conf/."""


@cache
def _written() -> dict[str, dict[str, Any]]:
    """The settings in conf/objective at the world's scale, by the name of the class."""
    found = {}
    for choice in options("objective"):
        selection = [] if choice not in ("best_of_k", "rest_em") else ["method=iterative"]
        config = compose_runs([f"objective={choice}", *selection])[0].config
        found[config.objective.name] = config.objective.model_dump()
    return found


def objective(name: str, **settings: Any) -> Objective:
    """An objective with the settings of its file, without the likelihood term, and with these."""
    plain = {"nll_weight": 0.0} if name in PAIRWISE else {}
    return Objective.model_validate({**_written()[name], **plain, **EXAMPLES.get(name, {}), **settings})


def loss(name: str, batch: Any, **settings: Any) -> Any:
    """An objective's loss and metrics under just these settings."""
    plain = {"nll_weight": 0.0} if name in PAIRWISE else {}
    return Objective.model_validate({"name": name, **plain, **settings})(batch)


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
