"""The loop: transformers' Trainer, whose steps are whole global batches, with our learning rates and reports.

Not TRL's trainers: they drop columns (win probabilities, weights) and over-long rows without a word, load the
reference a second time, and take seconds to import. The Trainer below them does what is wanted (optimizer,
DeepSpeed, checkpoints) and costs little beside the model: see benchmarks/training_throughput.py.
"""

from __future__ import annotations

import math
import resource
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from mt.engines.text import Chat
from mt.engines.training.batches import MicroBatch, OptimizerSteps, Step
from mt.engines.training.checkpoints import MODELS, Clock, seal
from mt.engines.training.losses import Loss
from mt.engines.training.models import load_start, publish, start_is_rounded
from mt.engines.training.settings import TrainingConfig
from mt.engines.training.task import Observe, TrainingTask, step_folder
from mt.engines.training.zero import restore_masters
from mt.errors import EngineError, describe

_KIB_PER_MIB = 1024


def rate_factor(config: TrainingConfig, steps: int) -> Callable[[int], float]:
    """Return the factor of the peak learning rate as a function of how many of the `steps` are done.

    Step i = 1 … n follows i - 1 done ones. With w = min(⌈ratio · n⌉, n - 1) warm-up steps it is i / (w + 1) while
    i ≤ w; then it falls from 1 along a half cosine or a line that would reach 0 at step n + 1, or stays 1. So every
    step trains, the first and the last included, and the only step of a training trains at the peak. The usual
    schedules begin at 0: their first step is lost, and with it a training of one step.
    """
    warmup = min(math.ceil(round(config.warmup_ratio * steps, 9)), steps - 1)  # 0.07 * 100 is above 7 as a float

    def factor(done: int) -> float:
        if done < warmup:
            return (done + 1) / (warmup + 1)
        progress = min((done - warmup) / (steps - warmup), 1.0)  # asked once more after the last step
        if config.schedule == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        return 1 - progress if config.schedule == "linear" else 1.0

    return factor


class BatchTrainer(Trainer):
    """Accumulates the gradient of the mean loss over a global batch exactly, however it is cut.

    The loss of a step is Σ of the rows' losses (weights included) / rows of the global batch.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        steps: OptimizerSteps,
        loss: Loss,
        factor: Callable[[int], float],
        *,
        autocast: bool,
        prepare: Callable[[Any, list[MicroBatch]], list[MicroBatch]] | None = None,
    ) -> None:
        super().__init__(model=model, args=args)
        self.steps, self.loss, self.factor = steps, loss, factor
        self.autocast, self.prepare = autocast, prepare
        self.meter = Meter(args.device, steps.world_size)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return our own schedule; the Trainer asks for it, steps it and keeps its state in checkpoints.

        DeepSpeed gets none (its configuration names none), so that the Trainer steps this one there, too.
        """
        if self.lr_scheduler is None:
            chosen: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(chosen, self.factor)
            self._created_lr_scheduler = True  # or the next training would go on with this one
        return self.lr_scheduler

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write a checkpoint's weights, unless DeepSpeed does: a gathered copy of them would be read by nobody."""
        if not self.is_deepspeed_enabled:
            super().save_model(output_dir, _internal_call)

    def get_train_dataloader(self) -> DataLoader[Step]:
        """Return the steps in order; a step is cut for this device already."""
        return DataLoader(self.steps, batch_size=1, collate_fn=lambda items: items[0])

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
                with self.precision():
                    loss_B, metrics = self.loss(model, batch)
                total = loss_B.sum()
                # The mean over the rows of the whole batch, not of this micro-batch: its rows are often fewer.
                # Gradients are averaged over devices afterwards, hence their number in the numerator.
                self.accelerator.backward(total * (self.steps.world_size / inputs.rows))
            sums = {"loss": total.detach(), **{name: value.sum() for name, value in metrics.items()}}
            self.meter.add(
                sums if not batch.is_padding else {name: value * 0 for name, value in sums.items()}, batch.tokens
            )
        loss = self.meter.end_step(inputs.rows, self._get_learning_rate())
        if not math.isfinite(loss):
            self._refuse("loss", loss)
        return torch.tensor(loss, device=self.args.device)

    def precision(self) -> AbstractContextManager[Any]:
        """Compute in bfloat16 with float32 weights, or leave everything as it is."""
        return torch.autocast(self.args.device.type, torch.bfloat16) if self.autocast else nullcontext()

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: it is not used, and the Trainer would count the parameters at every step."""
        return 0

    def _accumulation(self, model: Any, *, last: bool) -> AbstractContextManager[Any]:
        """Exchange gradients between devices with a step's last micro-batch only."""
        self.accelerator.gradient_state._set_sync_gradients(last)
        if last or self.is_deepspeed_enabled or self.steps.world_size == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = self.accelerator.no_sync(model)
        return context

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if norm is not None:
            self.meter.gradient_norm = float(norm)
            self.meter.largest_gradient_norm = max(self.meter.largest_gradient_norm, self.meter.gradient_norm)
            if not math.isfinite(self.meter.gradient_norm):
                self._refuse("gradient norm", self.meter.gradient_norm)
        return norm

    def _refuse(self, what: str, value: float) -> None:
        step = f"{self.state.global_step + 1} of {self.state.max_steps}"
        fix = "Lower the learning rate, or look for broken rows"
        if self.state.global_step == 0:  # nothing was learnt yet
            fix = "Look for broken rows, and for weights that are no numbers"
        raise EngineError(describe(what, value, f"not finite at step {step}", fix=fix))


class Meter:
    """Sums metrics over the rows of a report's window, over all devices."""

    def __init__(self, device: torch.device, devices: int) -> None:
        self.device, self.devices = device, devices
        self.gradient_norm = self.largest_gradient_norm = 0.0
        self.last: dict[str, float] = {}
        self.seconds = 0.0
        self._started = time.monotonic()
        self._tokens = self._all_tokens = 0.0
        self._step: dict[str, Tensor] = {}
        self._window: dict[str, float] = {}
        self._rows = 0
        self._learning_rate = 0.0

    def start(self) -> None:
        """Begin to measure time."""
        self._started = time.monotonic()

    def add(self, sums: dict[str, Tensor], tokens: int) -> None:
        """Add a micro-batch's sums over its rows."""
        for name, value in sums.items():
            self._step[name] = self._step[name] + value if name in self._step else value
        self._tokens += tokens

    def end_step(self, rows: int, learning_rate: float) -> float:
        """Add the step to the window; return the mean loss over the whole batch's rows of this device's rows."""
        names = list(self._step)
        # One transfer from the device for all metrics of a step, not one for each.
        values = torch.stack([self._step[name].float() for name in names]).tolist() if names else []
        for name, value in zip(names, values, strict=True):
            self._window[name] = self._window.get(name, 0.0) + value
        self._step = {}
        self._rows += rows
        self._learning_rate = learning_rate
        return values[names.index("loss")] / rows if names else 0.0

    def report(self) -> dict[str, float]:
        """Return the window's means, and begin the next one; every device has to call it."""
        now = time.monotonic()
        names = sorted(self._window)
        numbers = [*(self._window[name] for name in names), self._tokens]
        if self.devices > 1:
            total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
            torch.distributed.all_reduce(total)
            numbers = total.tolist()
        *sums, tokens = numbers
        window = max(now - self._started, 1e-9)
        self.seconds += now - self._started
        self._all_tokens += tokens
        self.last = {
            **{name: value / self._rows for name, value in zip(names, sums, strict=True)},
            "learning_rate": self._learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens_per_second": tokens / window,
            "memory_mib": peak_memory_mib(self.device),
        }
        self._window, self._rows, self._tokens, self._started = {}, 0, 0.0, now
        return self.last

    @property
    def tokens_per_second(self) -> float:
        """Tokens without padding per second, since the start."""
        return self._all_tokens / self.seconds if self.seconds else 0.0


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory so far in MiB: allocated on a GPU, or resident on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    used: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / _KIB_PER_MIB if sys.platform != "darwin" else used / 2**20


class PublishIntermediateModels(TrainerCallback):
    """Publishes the model every so many steps; the last step's is left to the end of the training.

    A training that goes on from a checkpoint finds what was published before it, and writes again what came after.
    """

    def __init__(self, model: Any, chat: Chat, task: TrainingTask) -> None:
        self.model, self.chat, self.task = model, chat, task

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Publish at every `every_steps`-th step; all processes take part, the first one writes."""
        step, every = state.global_step, self.task.every_steps
        if every and step % every == 0 and step != state.max_steps:
            folder = step_folder(Path(self.task.scratch) / MODELS, step)
            if state.is_world_process_zero:
                shutil.rmtree(folder, ignore_errors=True)
            publish(self.model, self.chat, self.task, folder, first=state.is_world_process_zero)


class Reports(TrainerCallback):
    """Reports to the observer, and asks for checkpoints at reports, so that no report spans a checkpoint."""

    def __init__(self, trainer: BatchTrainer, task: TrainingTask, observe: Observe) -> None:
        self.trainer, self.task, self.observe = trainer, task, observe
        self.clock = Clock(task.trainer.checkpoint_minutes, trainer.steps.world_size, trainer.args.device)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to measure time; before the first step, undo what loading in bfloat16 has rounded."""
        if state.global_step == 0 and start_is_rounded(self.task):
            restore_masters(self.trainer.model, lambda: load_start(self.task), args.device)
        self.trainer.meter.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Report every so many steps, and at the last one."""
        step, total = state.global_step, state.max_steps
        if step % self.task.trainer.report_steps and step != total:
            return control
        metrics = self.trainer.meter.report()
        if state.is_world_process_zero:
            self.observe(step, total, metrics)
        if step != total and self.clock.due():
            control.should_save = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole once every process has written its part."""
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self.clock.taken()
