"""How fast training is, against its own ideal and against TRL's trainers on the same rows.

    python -m benchmarks.training_throughput                           # a tiny model and short texts, on the CPU
    python -m benchmarks.training_throughput --trl                     # TRL's trainers beside ours
    python -m benchmarks.training_throughput --data PROMPTS ONE OTHER  # real texts: JSONL(.gz)

Prompt files hold `prompt_id` and `prompt`, the two output files `prompt_id` and `response`. Four ways to spend the
same optimizer steps on the same model, in tokens (without padding) per second: ideal, one full batch of equal
lengths again and again in a bare loop; bare, a bare loop over our micro-batches, made beforehand; ours, the engine
with everything that it does per step; trl, TRL's trainer at its defaults (DPO with its reference model). Times are
CPU seconds of this process, wall seconds on a GPU. "of ceiling" is our floating-point rate (6 FLOPs per weight and
token, recomputation not counted) over that of a large matrix product in the same precision.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from transformers import PrinterCallback
from transformers.utils import logging

from benchmarks.training_rows import as_pairs, made_up, real, write_model
from benchmarks.training_trl import trl_trainer
from mt.config.training import InlineTrainer, TrainingConfig
from mt.engines.text import load_tokenizer
from mt.engines.training.build import Place, arguments, build
from mt.engines.training.data import plan, read
from mt.engines.training.examples import Example
from mt.engines.training.forward import Loss
from mt.engines.training.here import spared_collector
from mt.engines.training.microbatch import MicroBatch, collate
from mt.engines.training.models import load_for_training
from mt.engines.training.task import TrainingTask, objective_of
from mt.engines.training.trainer import BatchTrainer
from mt.types import Demonstration, Pair, PairLogProbs
from mt.workflow import tables

KINDS = {"policy": "dpo", "reward": "bradley_terry", "sft": "sft"}
DPO = {"beta": 0.1, "label_smoothing": 0.0, "nll_weight": 0.0}


@dataclass(frozen=True)
class Bench:
    """One model and one set of rows, in a folder."""

    folder: Path
    pairs: list[Pair]
    options: argparse.Namespace

    def task(self, kind: str) -> TrainingTask:
        """Return the training of one kind of model."""
        folder = self.folder / f"{kind}-{time.monotonic_ns()}"
        folder.mkdir()
        if kind == "sft":
            demonstrations = [Demonstration(p.prompt_id, p.messages, None, p.chosen) for p in self.pairs]
            tables.write(folder / "rows.parquet", demonstrations, Demonstration)
        else:
            tables.write(folder / "rows.parquet", self.pairs, Pair)
        references = [PairLogProbs(p.prompt_id, -20.0, -20.0) for p in self.pairs]
        tables.write(folder / "reference.parquet", references, PairLogProbs)
        return TrainingTask(
            kind=kind,  # type: ignore[arg-type]
            model=str(self.folder / "model"),
            tables=[str(folder / "rows.parquet")],
            references=[str(folder / "reference.parquet")] if kind == "policy" else [],
            objective=KINDS[kind],
            hyperparameters=DPO if kind == "policy" else {},
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
        length_buckets=options.length_buckets,
        last_batch="drop",
        lora=None,
    )


def trainer(options: argparse.Namespace) -> InlineTrainer:
    """Return how it is trained."""
    return InlineTrainer(
        name="inline",
        dtype=options.dtype,
        micro_batch_tokens=options.micro_batch_tokens,
        gradient_checkpointing=options.gradient_checkpointing,
        checkpoint_minutes=60,
        report_steps=5,
        threads=options.threads,
        device="auto",
    )


def ideal(bench: Bench, kind: str) -> float:
    """Tokens per second of a bare loop over one full batch whose sequences are all as long as the mean."""
    engine, examples = prepared(bench, kind)
    row = mean_row(examples)
    size = min(bench.options.batch_size, max(1, bench.options.micro_batch_tokens // row.padded))
    batch = collate([row] * size, 0, pooled=kind == "reward")
    steps = -(-tokens_of(engine) // batch.tokens)
    seconds = timed(lambda: bare_loop(engine, [([batch], size)] * steps))
    return steps * batch.tokens / seconds


def bare(bench: Bench, kind: str) -> float:
    """Tokens per second of a bare loop over the same micro-batches."""
    engine, _ = prepared(bench, kind)
    steps = [engine.steps[i] for i in range(len(engine.steps))]
    seconds = timed(lambda: bare_loop(engine, [(step.micro_batches, step.rows) for step in steps]))
    return tokens_of(engine) / seconds


def ours(bench: Bench, kind: str) -> float:
    """Tokens per second of the engine."""
    engine, _ = prepared(bench, kind)
    with spared_collector():
        seconds = timed(engine.train)
    return tokens_of(engine) / seconds


def trl(bench: Bench, kind: str) -> float:
    """Tokens per second of TRL's own trainer at its defaults, on the same rows and batch size."""
    engine, _ = prepared(bench, kind)
    peer = trl_trainer(bench.folder, bench.pairs, kind, bench.options, use_cpu=engine.args.device.type == "cpu")
    peer.remove_callback(PrinterCallback)
    seconds = timed(peer.train)
    size = bench.options.batch_size
    share = len(bench.pairs) // size * size / len(bench.pairs)  # ours leaves the last partial batch out
    return tokens_of(engine) / share / seconds


def prepared(bench: Bench, kind: str) -> tuple[BatchTrainer, list[Example]]:
    """Return a trainer ready to start, and its rows."""
    task = bench.task(kind)
    objective, tokenizer = objective_of(task), load_tokenizer(task.model)
    data = read(task, tokenizer, objective)
    batches = plan(task, data)
    place = Place(rank=0, devices=1)
    args = arguments(task, place)
    engine = build(task, args, load_for_training(task), tokenizer, data, batches, objective, lambda *_: None, place)
    return engine, data.examples


def bare_loop(engine: BatchTrainer, steps: Sequence[tuple[list[MicroBatch], int]]) -> None:
    """Spend optimizer steps with nothing around them."""
    model, loss, device = engine.model, engine.loss, engine.args.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(steps))
    model.train()
    for batches, rows in steps:
        for batch in batches:
            backward(engine, model, loss, batch.to(device), rows)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def backward(engine: BatchTrainer, model: Any, loss: Loss, batch: MicroBatch, rows: int) -> None:
    """Add one micro-batch to the gradients."""
    with engine.precision():
        loss_B, _ = loss(model, batch)
    (loss_B.sum() / rows).backward()


def timed(work: Callable[[], Any]) -> float:
    """Return seconds: of CPU time where the CPU computes, else of wall time."""
    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    if gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    start = clock()
    work()
    if gpu:
        torch.cuda.synchronize()
    return clock() - start


def ceiling(options: argparse.Namespace) -> float:
    """Return the FLOP/s of a large matrix product in the precision of the training."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, times = (8192, 30) if device == "cuda" else (1024, 5)
    matrix = torch.randn(size, size, device=device, dtype=getattr(torch, options.dtype))

    def multiply() -> None:
        for _ in range(times):
            torch.mm(matrix, matrix)

    multiply()
    return 2 * size**3 * times / min(timed(multiply) for _ in range(3))


def flops_per_token(engine: BatchTrainer) -> float:
    """Return the FLOPs that a token takes forward and backward; the head counts where the loss reads it only."""
    config = engine.model.config
    sequences = [s for rows in engine.steps.batches for row in rows for s in engine.steps.examples[row].sequences]
    tokens = sum(len(ids) for ids, _ in sequences)
    layers = sum(p.numel() for name, p in engine.model.named_parameters() if "layers." in name)
    attention = 6 * config.num_hidden_layers * config.hidden_size * sum(len(ids) ** 2 for ids, _ in sequences)
    head = 6 * config.hidden_size * (1 if engine.steps.pooled else config.vocab_size)
    return 6 * layers + (attention + head * sum(count for _, count in sequences)) / tokens


def tokens_of(engine: BatchTrainer) -> int:
    """Return the tokens of a training, without padding."""
    steps = engine.steps
    return sum(len(ids) for rows in steps.batches for row in rows for ids, _ in steps.examples[row].sequences)


def mean_row(examples: list[Example]) -> Example:
    """Return a row whose sequences all have the mean length, prompt and response."""
    sequences = [sequence for example in examples for sequence in example.sequences]
    length = round(sum(len(ids) for ids, _ in sequences) / len(sequences))
    counted = max(1, round(sum(count for _, count in sequences) / len(sequences)))
    ids = ([token for ids, _ in sequences for token in ids] * length)[:length]
    return Example("mean", [(ids, counted)] * len(examples[0].sequences), 1.0, examples[0].reference)


def options_of_user(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3200, help="pairs")
    parser.add_argument("--data", type=Path, nargs=3, metavar=("PROMPTS", "ONE", "OTHER"), help="real texts")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=4096, help="tokens of the tokenizer of --data")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length-buckets", type=int, default=8)
    parser.add_argument("--micro-batch-tokens", type=int, default=16384)
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is printed")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--trl", action="store_true", help="measure TRL's trainers too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = options_of_user(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    texts = (real(*options.data) if options.data else made_up(options.rows))[: options.rows]
    ways: list[Callable[[Bench, str], float]] = [ideal, bare, ours, *([trl] if options.trl else [])]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), as_pairs(texts), options)
        write_model(bench.folder / "model", texts, options)
        top = ceiling(options)
        print(f"{len(texts)} pairs; ceiling {top / 1e12:.3f} TFLOP/s; tokens per second:")
        columns = [*(way.__name__ for way in ways), "ours/ideal", "ours/bare", "of ceiling", "GPU MiB"]
        print(f"{'':8}" + "".join(f"{column:>12}" for column in columns))
        for kind in options.kinds:
            print(f"{kind:8}" + "".join(f"{cell:>12}" for cell in cells(bench, kind, ways, top)), flush=True)


def cells(bench: Bench, kind: str, ways: list[Callable[[Bench, str], float]], top: float) -> list[str]:
    """Measure one kind of training; return its line of the table."""
    best, peak = {}, 0.0
    for way in ways:
        best[way.__name__] = max(way(bench, kind) for _ in range(bench.options.repeats))
        if way is ours and torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated() / 2**20
    share = best["ours"] * flops_per_token(prepared(bench, kind)[0]) / top
    shares = [best["ours"] / best["ideal"], best["ours"] / best["bare"], share]
    return [*(f"{rate:,.0f}" for rate in best.values()), *(f"{s:.0%}" for s in shares), f"{peak:,.0f}"]


if __name__ == "__main__":
    main()
