"""What the measurements of training share: one model, its rows, and trainers that are ready to start on them."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from mt.engines.settings import LogProbsConfig
from mt.engines.text import open_chat
from mt.engines.training.batches import plan
from mt.engines.training.data import Example, read
from mt.engines.training.inline import InlineTrainer
from mt.engines.training.models import load_for_training
from mt.engines.training.process import TrainingProcess, arguments, build
from mt.engines.training.settings import TrainingConfig
from mt.engines.training.task import Observe, TrainingTask
from mt.engines.training.trainer import BatchTrainer
from mt.objectives import Objective
from mt.objectives.dpo import Dpo
from mt.objectives.sft import Sft
from mt.reward_losses import BradleyTerry, RewardLoss
from mt.types import Demonstration, Pair, PairLogProbs
from mt.workflow import tables

DPO = Dpo(beta=0.1, label_smoothing=0.0, nll_weight=0.0)
OBJECTIVES: dict[str, Objective | RewardLoss] = {
    "policy": DPO,
    "reward": BradleyTerry(),
    "sft": Sft(per_token=True),
}


@dataclass
class Bench:
    """One model and one set of rows, in a folder."""

    folder: Path
    pairs: list[Pair]
    options: argparse.Namespace

    @property
    def reference(self) -> Path:
        """The table of the pairs' log-probabilities under the untrained model, written where it is absent."""
        path = self.folder / "reference.parquet"
        if not path.is_file():
            self.refer()
        return path

    def refer(self) -> tuple[float, float]:
        """Write that table; return the seconds it took, and of that loading."""
        options = self.options
        batch_tokens = getattr(options, "reference_tokens", options.micro_batch_tokens)
        config = LogProbsConfig(dtype=options.dtype, device="auto", threads=options.threads, batch_tokens=batch_tokens)
        rows = [(pair.messages, response) for pair in self.pairs for response in (pair.chosen, pair.rejected)]
        begun = now()
        with config.open(self.folder / "model") as policy:
            list(policy.logprobs(rows[:1], options.max_length))  # the first question loads
            loaded = now()
            found = {i: logp for i, logp, _ in policy.logprobs(rows, options.max_length)}
        logps = [PairLogProbs(p.prompt_id, found[2 * i], found[2 * i + 1]) for i, p in enumerate(self.pairs)]
        tables.write(self.folder / "reference.parquet", logps, PairLogProbs)
        return now() - begun, loaded - begun

    def task(self, kind: str) -> TrainingTask:
        """Return the training of one kind of model."""
        folder = self.folder / f"{kind}-{time.monotonic_ns()}"
        folder.mkdir()
        if kind == "sft":
            demonstrations = [Demonstration(p.prompt_id, p.messages, None, p.chosen) for p in self.pairs]
            tables.write(folder / "rows.parquet", demonstrations, Demonstration)
        else:
            tables.write(folder / "rows.parquet", self.pairs, Pair)
        return TrainingTask(
            model=str(self.folder / "model"),
            tables=[str(folder / "rows.parquet")],
            references=[str(self.reference)] if kind == "policy" else [],
            objective=OBJECTIVES[kind],
            training=training(self.options),
            trainer=trainer(self.options),
            seed=0,
            output=str(folder / "output"),
            scratch=str(folder / "scratch"),
        )


def training(options: argparse.Namespace) -> TrainingConfig:
    """Return what is trained: constant but for the batch."""
    return TrainingConfig(
        learning_rate=1e-4,
        batch_size=options.batch_size,
        epochs=1,
        optimizer="adamw",
        schedule="cosine",
        warmup_ratio=0.1,
        weight_decay=0.0,
        max_gradient_norm=1.0,
        max_length=options.max_length,
        truncation="drop",
        group_by_length=options.group_by_length,
        drop_last=True,
        lora=None,
    )


def trainer(options: argparse.Namespace) -> InlineTrainer:
    """Return how it is trained."""
    return InlineTrainer(
        name="inline",
        dtype=options.dtype,
        publish_dtype="float32",
        allow_unchanged=False,
        micro_batch_tokens=options.micro_batch_tokens,
        gradient_checkpointing=options.gradient_checkpointing,
        checkpoint_minutes=60,
        report_steps=options.report_steps,
        threads=options.threads,
        device="auto",
    )


def prepared(bench: Bench, kind: str, observe: Observe = lambda *_: None) -> tuple[BatchTrainer, list[Example]]:
    """Return a trainer ready to start, and its rows."""
    task = bench.task(kind)
    chat = open_chat(task.model)
    data = read(task, chat)
    batches = plan(task, data)
    process = TrainingProcess(rank=0, world_size=1)
    args = arguments(task, process)
    engine = build(task, args, load_for_training(task), chat, data, batches, observe, process)
    return engine, data.examples


def tokens_of(engine: BatchTrainer) -> int:
    """Return the tokens of a training, without padding."""
    steps = engine.steps
    return sum(len(ids) for rows in steps.batches for row in rows for ids, _ in steps.examples[row].sequences)


def now() -> float:
    """Return CPU seconds of this process, or wall seconds where a GPU computes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
