"""A micro-batch as tensors: right-padded ids, where responses are predicted, and the facts of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mt.engines.logprobs import predicting_positions
from mt.engines.training.examples import Example


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """B rows; their S = B or 2B sequences stand as all chosen ones, then all rejected ones."""

    ids_ST: Tensor
    """Token ids, padded on the right."""
    positions_R: Tensor
    """Places in the flattened ids that predict a response token (reward models: the last token of each)."""
    targets_R: Tensor
    """The response tokens there."""
    lengths: list[int]
    """Response tokens of each sequence."""
    weight_B: Tensor
    """Weights of the rows."""
    reference_S: Tensor | None
    """Reference log-probabilities of the sequences."""
    win_probability_S: Tensor | None
    """Win probabilities of the sequences."""
    real: bool
    """False where the only row fills a place: a device without work must compute all the same."""
    tokens: int
    """Tokens without padding."""
    reference_kl: Tensor | None = None
    """The whole batch's reference point, where the objective couples its pairs (KTO)."""

    def to(self, device: torch.device) -> MicroBatch:
        """Return the micro-batch on a device."""
        if device.type == "cpu":
            return self
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved: dict[str, Any] = {name: value.to(device) for name, value in values if torch.is_tensor(value)}
        return replace(self, **moved)


def collate(rows: Sequence[Example], pad_id: int, *, pooled: bool) -> MicroBatch:
    """Return rows as one micro-batch; `pooled` asks for the last position of each sequence only."""
    sequences = [row.sequences[side] for side in range(len(rows[0].sequences)) for row in rows]
    sizes = [len(ids) for ids, _ in sequences]
    counted = [count for _, count in sequences]
    ids_ST = _padded([ids for ids, _ in sequences], max(sizes), pad_id)
    prompts = sizes if pooled else [size - count for size, count in zip(sizes, counted, strict=True)]
    positions_R = predicting_positions(prompts, counted, max(sizes))
    return MicroBatch(
        ids_ST=ids_ST,
        positions_R=positions_R,
        targets_R=positions_R if pooled else ids_ST.flatten()[positions_R + 1],
        lengths=counted,
        weight_B=torch.tensor([row.weight for row in rows]),
        reference_S=_column([row.reference and (row.reference.chosen, row.reference.rejected) for row in rows]),
        win_probability_S=_column([row.win_probabilities for row in rows]),
        real=True,
        tokens=sum(sizes),
    )


def filler(row: Example, pad_id: int, *, pooled: bool) -> MicroBatch:
    """Return a micro-batch that weighs nothing, for a device that is left without rows."""
    batch = collate([row], pad_id, pooled=pooled)
    return replace(batch, weight_B=torch.zeros_like(batch.weight_B), real=False, tokens=0)


def _padded(sequences: Sequence[list[int]], width: int, pad_id: int) -> Tensor:
    ids = np.full((len(sequences), width), pad_id, dtype=np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(ids)


def _column(pairs: Sequence[Any]) -> Tensor | None:
    """Return (chosen, rejected) of every row as one column of sequences, or None where rows have none."""
    return None if pairs[0] is None else torch.tensor([pair[side] for side in (0, 1) for pair in pairs])
