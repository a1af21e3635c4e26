"""From sequences to tensors: the rows of every optimizer step, its micro-batches, and what they hold.

The rows of a step (a global batch) depend on the seed alone. How they are cut into micro-batches depends on the
memory and the number of devices, and changes no result: see `BatchTrainer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mt.engines.batching import token_batches
from mt.engines.logprobs import predicting_positions
from mt.engines.training.data import Example, Examples
from mt.engines.training.task import TrainingTask
from mt.errors import DataError, describe


def plan(task: TrainingTask, data: Examples) -> list[list[int]]:
    """Return the rows of every optimizer step, all epochs; raises `DataError` where there is none."""
    config = task.training
    batches = global_batches(
        [example.padded for example in data.examples],
        config.batch_size,
        epochs=config.epochs,
        seed=task.seed,
        buckets=config.group_by_length,
        drop_last=config.drop_last,
    )
    if not batches:
        problem = f"fill no batch of {config.batch_size}"
        raise DataError(describe("training rows", len(data.examples), problem, fix="Set drop_last=false"))
    return batches


def global_batches(
    lengths: Sequence[int], batch_size: int, *, epochs: int, seed: int, buckets: int, drop_last: bool
) -> list[list[int]]:
    """Return the rows of every optimizer step: each epoch passes over all rows in an order of its own.

    All batches hold exactly `batch_size` rows but the last one of an epoch, which holds the rest or is left out.
    `buckets` batches at a time are sorted by length before they are cut; then the batches are shuffled.
    """
    steps: list[list[int]] = []
    for epoch in range(epochs):
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(lengths)).tolist()
        whole = len(order) // batch_size * batch_size
        batches = []
        for start in range(0, whole, batch_size * buckets):
            chunk = order[start : min(start + batch_size * buckets, whole)]
            if buckets > 1:
                chunk = sorted(chunk, key=lambda row: lengths[row])
            batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
        steps += [batches[i] for i in random.permutation(len(batches))]
        if order[whole:] and not drop_last:
            steps.append(order[whole:])
    return steps


def micro_batches(rows: Sequence[int], lengths: Sequence[int], budget: int, devices: int) -> list[list[list[int]]]:
    """Cut a step's rows into micro-batches of at most `budget` padded tokens: one list of them per device.

    Every device gets equally many (collective operations wait for each other): the largest are halved until the
    number divides, and where rows are fewer than devices some get an empty one.
    """

    def padded(group: Sequence[int]) -> int:
        return len(group) * max((lengths[row] for row in group), default=0)

    groups = [[rows[i] for i in batch] for batch in token_batches([lengths[row] for row in rows], budget)]
    while len(groups) % devices:
        groups.sort(key=padded, reverse=True)
        largest = next((i for i, group in enumerate(groups) if len(group) > 1), None)
        if largest is None:
            groups += [[] for _ in range(-len(groups) % devices)]
        else:
            group = groups.pop(largest)
            groups += [group[: len(group) // 2], group[len(group) // 2 :]]
    groups.sort(key=padded, reverse=True)
    return [groups[device::devices] for device in range(devices)]


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
    is_padding: bool
    """Whether its only row weighs nothing: a process without rows must compute all the same."""
    tokens: int
    """Tokens without padding."""
    margin_B: Tensor | None = None
    """Reward of the chosen over the rejected response that the pairs carry, where a reward model's loss needs it."""
    whole_batch: Tensor | None = None
    """What the objective needs of the whole batch, where it couples its pairs (KTO)."""

    def to(self, device: torch.device) -> MicroBatch:
        """Return the micro-batch on a device."""
        if device.type == "cpu":
            return self
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved: dict[str, Any] = {name: value.to(device) for name, value in values if torch.is_tensor(value)}
        return replace(self, **moved)


def collate(rows: Sequence[Example], pad_id: int, *, pooled: bool) -> MicroBatch:
    """Return rows as one micro-batch; `pooled` asks for the last position of each sequence only (reward models)."""
    sequences = [row.sequences[side] for side in range(len(rows[0].sequences)) for row in rows]
    sizes = [len(ids) for ids, _ in sequences]
    counted = [count for _, count in sequences]
    ids = np.full((len(sequences), max(sizes)), pad_id, dtype=np.int64)
    for line, (sequence, _) in zip(ids, sequences, strict=True):
        line[: len(sequence)] = sequence
    ids_ST = torch.from_numpy(ids)
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
        is_padding=False,
        tokens=sum(sizes),
        margin_B=None if rows[0].margin is None else torch.tensor([row.margin for row in rows]),
    )


def filler(row: Example, pad_id: int, *, pooled: bool) -> MicroBatch:
    """Return a micro-batch that weighs nothing, for a device that is left without rows."""
    batch = collate([row], pad_id, pooled=pooled)
    return replace(batch, weight_B=torch.zeros_like(batch.weight_B), is_padding=True, tokens=0)


def _column(pairs: Sequence[Any]) -> Tensor | None:
    """Return (chosen, rejected) of every row as one column of sequences, or None where rows have none."""
    return None if pairs[0] is None else torch.tensor([pair[side] for side in (0, 1) for pair in pairs])


@dataclass(frozen=True)
class Step:
    """One optimizer step: this device's micro-batches, and the rows of the whole batch over all devices."""

    micro_batches: list[MicroBatch]
    rows: int


class OptimizerSteps(Dataset[Step]):
    """Every optimizer step of a training in order, all epochs, made into tensors when its turn comes."""

    def __init__(
        self,
        examples: Sequence[Example],
        batches: Sequence[Sequence[int]],
        *,
        budget: int,
        pad_id: int,
        pooled: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.examples, self.batches = examples, batches
        self.lengths = [example.padded for example in examples]
        self.budget, self.pad_id, self.pooled = budget, pad_id, pooled
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Step:
        rows = self.batches[index]
        groups = micro_batches(rows, self.lengths, self.budget, self.world_size)[self.rank]
        cut = [
            collate([self.examples[row] for row in group], self.pad_id, pooled=self.pooled)
            if group
            else filler(self.examples[0], self.pad_id, pooled=self.pooled)
            for group in groups
        ]
        return Step(cut, len(rows))
