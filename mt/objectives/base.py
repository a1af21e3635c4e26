"""What every policy objective is: its settings, its loss, and what a trainer has to bring for it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mt.choice import Choice, NotNegative
from mt.objectives.batch import Losses, PairLogps, ResponseLogps

if TYPE_CHECKING:
    from torch import Tensor


class Objective(Choice):
    """A policy objective (`objective=`)."""

    GROUP: ClassVar[str] = "objective"
    PACKAGE: ClassVar[str] = "mt.objectives"

    learns_from: ClassVar[Literal["pairs", "demonstrations"]] = "pairs"
    """Which rows it trains on, and so what `loss` gets: `PairLogps` or `ResponseLogps`."""
    needs_reference: ClassVar[bool] = True
    """Whether it reads the reference's log-probabilities."""
    needs_win_probabilities: ClassVar[bool] = False
    """Whether it reads the win probabilities of the pairs."""

    @property
    def called(self) -> str:
        """The objective as `objective=` names it."""
        return self.name

    @property
    def couples_pairs(self) -> bool:
        """Whether one pair's loss depends on the others of its global batch, by what `whole_batch` makes of them."""
        return False

    @abstractmethod
    def loss(self, batch: Any) -> Losses:
        """Return one loss per row, shape (B,), and detached metrics of the same shape."""

    def whole_batch(self, pairs: PairLogps) -> Tensor:
        """Return what a coupled objective needs of all pairs; the trainer hands it to `loss` in each micro-batch."""
        raise NotImplementedError(f"{type(self).__name__} couples pairs and has no whole_batch()")

    def __call__(self, batch: Any) -> Losses:
        """Return the loss per row, times the row's weight, and the metrics."""
        loss_B, metrics = self.loss(batch)
        return _weighted(loss_B, batch), metrics | batch.metrics()


class PairObjective(Objective):
    """An objective on preference pairs."""

    nll_weight: NotNegative
    """Weight of an added negative log-likelihood per token of the chosen response, ≥ 0 (our deviation)."""

    @abstractmethod
    def loss(self, batch: PairLogps) -> Losses:
        """Return one loss per pair, shape (B,), and detached metrics of the same shape."""

    def __call__(self, batch: Any) -> Losses:
        """Return the loss per pair with the likelihood term (as Pang et al. 2024), times the pair's weight."""
        loss_B, metrics = self.loss(batch)
        if self.nll_weight:
            loss_B = loss_B + self.nll_weight * batch.nll_B
        return _weighted(loss_B, batch), metrics | batch.metrics()


def _weighted(loss_B: Tensor, batch: PairLogps | ResponseLogps) -> Tensor:
    return loss_B if batch.weight_B is None else loss_B * batch.weight_B
