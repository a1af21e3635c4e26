"""Every policy objective by name, what it needs, and the one way to call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mt.objectives.batch import Losses, PairLogps, ResponseLogps
from mt.objectives.dpo import dpo
from mt.objectives.exploration import selm, xpo
from mt.objectives.ipo import ipo
from mt.objectives.kto import kto
from mt.objectives.orpo import orpo
from mt.objectives.robust import robust
from mt.objectives.sft import sft
from mt.objectives.simpo import simpo
from mt.objectives.slic import hinge, slic
from mt.objectives.sppo import sppo

LearnsFrom = Literal["pairs", "demonstrations"]


@dataclass(frozen=True)
class Objective:
    """A policy objective: a loss on tensors and what the trainer has to bring for it."""

    name: str
    """The name in `objective=`."""
    loss: Callable[..., Losses]
    """The pure function behind it."""
    source: str
    """Where it comes from."""
    learns_from: LearnsFrom = "pairs"
    """Which table it trains on, and so which carrier it takes: `PairLogps` or `ResponseLogps`."""
    needs_reference: bool = True
    """Whether it reads the reference's log-probabilities."""
    needs_win_probabilities: bool = False
    """Whether it reads the win probabilities of the pairs."""
    couples_pairs: bool = False
    """Whether one pair's loss depends on the others of its batch, and so on how a global batch is cut."""

    def __call__(self, batch: PairLogps | ResponseLogps, *, nll_weight: float = 0.0, **settings: Any) -> Losses:
        """Return the loss per row and the metrics; `settings` are the hyper-parameters of `loss`.

        Adds `nll_weight` times the negative log-likelihood per token of the chosen response (our deviation, 0 at
        paper scale; Pang et al. 2024 do the same), then applies the weights of the rows: nobody else does either.
        """
        loss_B, metrics = self.loss(batch, **settings)
        if nll_weight:
            loss_B = loss_B + nll_weight * batch.nll_B
        if batch.weight_B is not None:
            loss_B = loss_B * batch.weight_B
        return loss_B, metrics | batch.metrics()


_ALL = (
    Objective("dpo", dpo, "Rafailov et al. 2023; with label smoothing Mitchell 2023"),
    Objective("robust", robust, "Chowdhury et al. 2024"),
    Objective("ipo", ipo, "Azar et al. 2023"),
    Objective("simpo", simpo, "Meng et al. 2024", needs_reference=False),
    Objective("sppo", sppo, "Wu et al. 2024b", needs_win_probabilities=True),
    Objective("slic", slic, "Zhao et al. 2023", needs_reference=False),
    Objective("hinge", hinge, "Liu et al. 2023"),
    Objective("kto", kto, "Ethayarajh et al. 2024", couples_pairs=True),
    Objective("orpo", orpo, "Hong et al. 2024", needs_reference=False),
    Objective("selm", selm, "Zhang et al. 2024b"),
    Objective("xpo", xpo, "Xie et al. 2024"),
    Objective("sft", sft, "Singh et al. 2023", learns_from="demonstrations", needs_reference=False),
)
OBJECTIVES: dict[str, Objective] = {objective.name: objective for objective in _ALL}
