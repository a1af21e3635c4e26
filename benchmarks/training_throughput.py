"""How fast training is, against its own ideal and against TRL's trainers on the same rows.

    python -m benchmarks.training_throughput                           # a tiny model and short texts, on the CPU
    python -m benchmarks.training_throughput --trl                     # TRL's trainers beside ours, loss by loss too
    python -m benchmarks.training_throughput --data PROMPTS ONE OTHER  # real texts: JSONL(.gz)
    python -m benchmarks.training_throughput --data … --gpu --trl      # a Llama of 1.05B weights in bfloat16, on a GPU

Prompt files hold `prompt_id` and `prompt`, the two output files `prompt_id` and `response`. Four ways to spend the
same optimizer steps on the same model, in tokens (without padding) per second: ideal, one full batch of equal
lengths again and again in a bare loop; bare, a bare loop over our micro-batches, made beforehand; ours, the engine
with everything that it does per step; trl, TRL's trainer at its defaults (DPO with its reference model; precision and
gradient checkpointing as ours). DPO's reference log-probabilities are there beforehand for all but TRL. Times are
CPU seconds of this process, wall seconds on a GPU. "of ceiling" is our floating-point rate (6 FLOPs per weight and
token, recomputation not counted) over that of a large matrix product in the same precision.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback
from transformers.utils import logging

from benchmarks.training_bench import OBJECTIVES, Bench, now, prepared, tokens_of
from benchmarks.training_losses import compare, losses
from benchmarks.training_rows import as_pairs, made_up, real, write_model
from benchmarks.training_trl import same_schedule, trl_trainer
from mt.engines.training.batches import MicroBatch, collate
from mt.engines.training.data import Example
from mt.engines.training.losses import Loss
from mt.engines.training.process import spared_collector
from mt.engines.training.trainer import BatchTrainer

GPU = {"hidden": 2048, "layers": 18, "vocabulary": 32768, "rows": 800, "dtype": "bfloat16", "trl_batch": 8}
"""A Llama of 1.05B weights, TRL's default batch per device."""


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
    same_schedule(peer, engine.factor)
    seconds = timed(peer.train)
    size = bench.options.batch_size
    share = len(bench.pairs) // size * size / len(bench.pairs)  # ours leaves the last partial batch out
    return tokens_of(engine) / share / seconds


def bare_loop(engine: BatchTrainer, steps: Sequence[tuple[list[MicroBatch], int]]) -> None:
    """Spend optimizer steps with nothing around them."""
    model, loss, device = engine.model, engine.loss, engine.args.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=engine.args.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, engine.factor)
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
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    start = now()
    work()
    return now() - start


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
    parser.add_argument("--group-by-length", type=int, default=8)
    parser.add_argument("--micro-batch-tokens", type=int, default=16384)
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is printed")
    parser.add_argument("--kinds", nargs="+", default=list(OBJECTIVES), choices=list(OBJECTIVES))
    parser.add_argument("--report-steps", type=int, default=5)
    parser.add_argument("--trl", action="store_true", help="measure TRL's trainers too, and compare DPO's losses")
    parser.add_argument("--trl-batch", type=int, help="pairs that TRL computes at once (default: a whole batch)")
    parser.add_argument("--gpu", action="store_true", help=f"other defaults: {GPU}")
    if parser.parse_known_args(arguments)[0].gpu:
        parser.set_defaults(**GPU)
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
        print(f"{len(texts)} pairs on {device_name()}; ceiling {top / 1e12:.3f} TFLOP/s; tokens per second:")
        columns = [*(way.__name__ for way in ways), "ours/ideal", "ours/bare", "of ceiling", "GPU MiB"]
        columns += ["ours/trl", "TRL's MiB"] if options.trl else []
        print(f"{'':8}" + "".join(f"{column:>12}" for column in columns))
        for kind in options.kinds:
            print(f"{kind:8}" + "".join(f"{cell:>12}" for cell in cells(bench, kind, ways, top)), flush=True)
        if options.trl and "policy" in options.kinds:
            print("\n".join(compare(losses(bench))))


def device_name() -> str:
    """Return what computes."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU (no GPU here)"


def cells(bench: Bench, kind: str, ways: list[Callable[[Bench, str], float]], top: float) -> list[str]:
    """Measure one kind of training; return its line of the table."""
    best, peaks = {}, {}
    for way in ways:
        best[way.__name__] = max(way(bench, kind) for _ in range(bench.options.repeats))
        peaks[way.__name__] = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    share = best["ours"] * flops_per_token(prepared(bench, kind)[0]) / top
    shares = [best["ours"] / best["ideal"], best["ours"] / best["bare"], share]
    line = [*(f"{rate:,.0f}" for rate in best.values()), *(f"{s:.0%}" for s in shares), f"{peaks['ours']:,.0f}"]
    return [*line, f"{best['ours'] / best['trl']:.2f}", f"{peaks['trl']:,.0f}"] if "trl" in best else line


if __name__ == "__main__":
    main()
