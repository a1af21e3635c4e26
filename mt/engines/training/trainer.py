"""The loop: transformers' Trainer, whose steps are whole global batches.

Not TRL's trainers: they drop columns (win probabilities, weights) and over-long rows without a word, load the
reference a second time, and take seconds to import. The Trainer below them does what is wanted (optimizer,
schedule, DeepSpeed, checkpoints) and costs little beside the model: see benchmarks/training_throughput.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments

from mt.engines.training.batching import micro_batches
from mt.engines.training.examples import Example
from mt.engines.training.forward import Loss
from mt.engines.training.meter import Meter
from mt.engines.training.microbatch import MicroBatch, collate, filler
from mt.errors import EngineError, describe


@dataclass(frozen=True)
class Step:
    """One optimizer step: this device's micro-batches, and the rows of the whole batch over all devices."""

    micro_batches: list[MicroBatch]
    rows: int


class Steps(Dataset[Step]):
    """Every optimizer step of a training in order, all epochs, made into tensors when its turn comes."""

    def __init__(
        self,
        examples: Sequence[Example],
        batches: Sequence[Sequence[int]],
        *,
        budget: int,
        pad_id: int,
        pooled: bool,
        device: int = 0,
        devices: int = 1,
    ) -> None:
        self.examples, self.batches = examples, batches
        self.lengths = [example.padded for example in examples]
        self.budget, self.pad_id, self.pooled = budget, pad_id, pooled
        self.device, self.devices = device, devices

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Step:
        rows = self.batches[index]
        groups = micro_batches(rows, self.lengths, self.budget, self.devices)[self.device]
        return Step([self._micro_batch(group) for group in groups], len(rows))

    def _micro_batch(self, group: Sequence[int]) -> MicroBatch:
        if not group:
            return filler(self.examples[0], self.pad_id, pooled=self.pooled)
        return collate([self.examples[row] for row in group], self.pad_id, pooled=self.pooled)


class BatchTrainer(Trainer):
    """Accumulates the gradient of the mean loss over a global batch exactly, however it is cut.

    The loss of a step is Σ of the rows' losses (weights included) / rows of the global batch.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        steps: Steps,
        loss: Loss,
        meter: Meter,
        *,
        autocast: bool,
        prepare: Callable[[Any, list[MicroBatch]], list[MicroBatch]] | None = None,
    ) -> None:
        super().__init__(model=model, args=args)
        self.steps, self.loss, self.meter = steps, loss, meter
        self.autocast, self.prepare = autocast, prepare

    def get_train_dataloader(self) -> DataLoader[Step]:
        """Return the steps in order; a step is cut for this device already."""
        return DataLoader(self.steps, batch_size=1, collate_fn=_only)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Step], None]:
        """Return the next step; its micro-batches are inside."""
        return [next(epoch_iterator)], None

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Accumulate the gradient of one global batch, and return its mean loss (this device's share).

        Raises `EngineError` where the loss is not finite.
        """
        model.train()
        batches = [batch.to(self.args.device) for batch in inputs.micro_batches]
        if self.prepare is not None:
            with torch.no_grad(), self.precision():
                batches = self.prepare(model, batches)
        for number, batch in enumerate(batches, start=1):
            with self._accumulation(model, last=number == len(batches)):
                self._accumulate(model, batch, inputs.rows)
        loss = self.meter.end_step(inputs.rows, self._get_learning_rate())
        if not math.isfinite(loss):
            self._refuse("loss", loss)
        return torch.tensor(loss, device=self.args.device)

    def precision(self) -> AbstractContextManager[Any]:
        """Compute in bfloat16 with float32 weights, or leave everything as it is."""
        return torch.autocast(self.args.device.type, torch.bfloat16) if self.autocast else nullcontext()

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: nobody reads it, and the Trainer would count parameters anew at every step."""
        return 0

    def _accumulate(self, model: Any, batch: MicroBatch, rows: int) -> None:
        with self.precision():
            loss_B, metrics = self.loss(model, batch)
        total = loss_B.sum()
        # Gradients are averaged over devices afterwards, hence their number in the numerator.
        self.accelerator.backward(total * (self.steps.devices / rows))
        sums = {"loss": total.detach(), **{name: value.sum() for name, value in metrics.items()}}
        self.meter.add(sums if batch.real else {name: value * 0 for name, value in sums.items()}, batch.tokens)

    def _accumulation(self, model: Any, *, last: bool) -> AbstractContextManager[Any]:
        """Exchange gradients between devices with a step's last micro-batch only."""
        self.accelerator.gradient_state._set_sync_gradients(last)
        if last or self.is_deepspeed_enabled or self.steps.devices == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = self.accelerator.no_sync(model)
        return context

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None:
            self.meter.gradient_norm = float(norm)
            if not math.isfinite(self.meter.gradient_norm):
                self._refuse("gradient norm", self.meter.gradient_norm)
        return norm

    def _refuse(self, what: str, value: float) -> None:
        step = f"{self.state.global_step + 1} of {self.state.max_steps}"
        mend = "Lower the learning rate, or look for broken rows"
        raise EngineError(describe(what, value, f"not finite at step {step}", mend=mend))


def _only(items: list[Step]) -> Step:
    return items[0]
