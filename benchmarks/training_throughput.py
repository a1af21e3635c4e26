"""How fast training is, against its own ideal and against TRL's trainers on the same rows.

    python benchmarks/training_throughput.py                      # a tiny model and short texts, on the CPU
    python benchmarks/training_throughput.py --trl                # TRL's trainers beside ours
    python benchmarks/training_throughput.py --texts FILE [FILE]  # real texts: JSONL(.gz), instruction and output

Four ways to spend the same optimizer steps on the same model, in tokens (without padding) per second:
ideal, one full batch of equal lengths again and again in a bare loop; bare, a bare loop over our micro-batches,
made beforehand; ours, the engine with everything that it does per step; trl, TRL's trainer at its defaults (DPO
with its reference model). On the CPU the clock is the process's own CPU time, so that other work counts less.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
from transformers.utils import logging

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
from mt.types import Demonstration, Pair, PairLogProbs, Response
from mt.workflow import tables

TEMPLATE = (
    "{{ '<s>' }}{% for m in messages %}{{ '<' + m.role + '>' + m.content + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
SPECIALS = ["<pad>", "<s>", "<end>", "<user>", "<assistant>"]
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
        rows = [Demonstration(p.prompt_id, p.messages, None, p.chosen) for p in self.pairs]
        tables.write(
            folder / "rows.parquet", rows if kind == "sft" else self.pairs, type(rows[0]) if kind == "sft" else Pair
        )
        tables.write(
            folder / "reference.parquet",
            [PairLogProbs(p.prompt_id, -20.0, -20.0) for p in self.pairs],
            PairLogProbs,
        )
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
        learning_rate=1e-4, batch_size=options.batch_size, epochs=1, optimizer="adamw", schedule="cosine",
        warmup_ratio=0.1, weight_decay=0.0, max_gradient_norm=1.0, max_length=options.max_length, truncation="drop",
        length_buckets=options.length_buckets, last_batch="drop", lora=None,
    )  # fmt: skip


def trainer(options: argparse.Namespace) -> InlineTrainer:
    """Return how it is trained."""
    return InlineTrainer(
        name="inline", dtype=options.dtype, micro_batch_tokens=options.micro_batch_tokens, checkpoint_minutes=60,
        gradient_checkpointing=options.gradient_checkpointing, report_steps=5, threads=options.threads,
        device="auto",
    )  # fmt: skip


def ours(bench: Bench, kind: str) -> float:
    """Tokens per second of the engine."""
    engine, _ = prepared(bench, kind)
    with spared_collector():
        seconds = timed(engine.train)
    return tokens_of(engine) / seconds


def bare(bench: Bench, kind: str) -> float:
    """Tokens per second of a bare loop over the same micro-batches."""
    engine, _ = prepared(bench, kind)
    steps = [engine.steps[i] for i in range(len(engine.steps))]
    seconds = timed(lambda: bare_loop(engine, [(step.micro_batches, step.rows) for step in steps]))
    return tokens_of(engine) / seconds


def ideal(bench: Bench, kind: str) -> float:
    """Tokens per second of a bare loop over one full batch whose sequences are all as long as the mean."""
    engine, examples = prepared(bench, kind)
    size = min(bench.options.batch_size, max(1, bench.options.micro_batch_tokens // widest(examples)))
    batch = collate([equal(examples) for _ in range(size)], 0, pooled=kind == "reward")
    steps = -(-tokens_of(engine) // batch.tokens)
    seconds = timed(lambda: bare_loop(engine, [([batch], size)] * steps))
    return steps * batch.tokens / seconds


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


def trl(bench: Bench, kind: str) -> float:
    """Tokens per second of TRL's own trainer at its defaults, on the same pairs and batch size."""
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

    disable_progress_bars()
    engine, _ = prepared(bench, kind)
    device = engine.args.device.type
    settings: dict[str, Any] = {
        "output_dir": str(bench.folder / "trl"), "per_device_train_batch_size": bench.options.batch_size,
        "max_length": bench.options.max_length, "report_to": "none", "save_strategy": "no", "disable_tqdm": True,
        "num_train_epochs": 1, "use_cpu": device == "cpu", "bf16": bench.options.dtype == "bfloat16",
        "gradient_checkpointing": bench.options.gradient_checkpointing, "log_level": "error",
    }  # fmt: skip
    rows = [
        {
            "prompt": p.messages,
            "chosen": [{"role": "assistant", "content": p.chosen.text}],
            "rejected": [{"role": "assistant", "content": p.rejected.text}],
        }
        for p in bench.pairs
    ]
    tokenizer, path = load_tokenizer(bench.folder / "model"), str(bench.folder / "model")
    common = {"processing_class": tokenizer}
    if kind == "policy":
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        peer: Any = DPOTrainer(model, args=DPOConfig(**settings), train_dataset=Dataset.from_list(rows), **common)
    elif kind == "reward":
        model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=torch.float32)
        peer = RewardTrainer(model, args=RewardConfig(**settings), train_dataset=Dataset.from_list(rows), **common)
    else:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
        peer = SFTTrainer(model, args=SFTConfig(**settings), train_dataset=Dataset.from_list(rows), **common)
    peer.remove_callback(PrinterCallback)
    seconds = timed(peer.train)
    whole = len(bench.pairs) // bench.options.batch_size * bench.options.batch_size / len(bench.pairs)
    return tokens_of(engine) / whole / seconds


def prepared(bench: Bench, kind: str) -> tuple[BatchTrainer, list[Example]]:
    """Return a trainer ready to start, and its rows."""
    task = bench.task(kind)
    objective, tokenizer = objective_of(task), load_tokenizer(task.model)
    data = read(task, tokenizer, objective)
    batches = plan(task, data)
    args = arguments(task, Place(0, 1))
    model = load_for_training(task)
    engine = build(task, args, model, tokenizer, data, batches, objective, lambda *_: None, Place(0, 1))
    return engine, data.examples


def timed(work: Callable[[], Any]) -> float:
    """Return seconds: of CPU time where the CPU computes, else of wall time."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    synchronise()
    start = clock()
    work()
    synchronise()
    return clock() - start


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def tokens_of(engine: BatchTrainer) -> int:
    """Return the tokens of a training, without padding."""
    steps = engine.steps
    return sum(len(ids) for rows in steps.batches for row in rows for ids, _ in steps.examples[row].sequences)


def widest(examples: list[Example]) -> int:
    """Return the padded tokens of the row that stands for all."""
    return equal(examples).padded


def equal(examples: list[Example]) -> Example:
    """Return a row whose sequences all have the mean length, prompt and response."""
    sequences = [sequence for example in examples for sequence in example.sequences]
    length = round(sum(len(ids) for ids, _ in sequences) / len(sequences))
    counted = max(1, round(sum(count for _, count in sequences) / len(sequences)))
    ids = ([token for ids, _ in sequences for token in ids] * length)[:length]
    example = examples[0]
    return Example("mean", [(ids, counted)] * len(example.sequences), 1.0, example.reference)


def synthetic(rows: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return short texts: prompts of about 8 words, responses of 2 to 7."""
    random_ = random.Random(seed)
    words = [
        f"{a}{b}" for a in "bdfgklmn" for b in ("a", "e", "i", "o", "u", "an", "el", "is", "or", "un", "ax", "ip")
    ]

    def text(low: int, high: int) -> str:
        return " ".join(random_.choice(words) for _ in range(random_.randint(low, high)))

    return [(text(5, 11), text(2, 7), text(2, 7)) for _ in range(rows)]


def real(paths: list[Path]) -> list[tuple[str, str, str]]:
    """Return prompts with two responses each: from two files of outputs, or an output and its first half."""
    files = []
    for path in paths[:2]:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            files.append([json.loads(line) for line in file])
    first, second = files[0], files[-1]
    halved = len(files) == 1
    cut: Callable[[str], str] = (lambda text: text[: len(text) // 2]) if halved else (lambda text: text)
    return [
        (a["instruction"], a["output"], cut(b["output"]))
        for a, b in zip(first, second, strict=True)
        if a["output"].strip() and cut(b["output"]).strip()
    ]


def make_model(folder: Path, texts: list[tuple[str, str, str]], options: argparse.Namespace) -> None:
    """Write a Llama of the wanted size with random weights and a tokenizer trained on the texts."""
    whole = options.texts
    inner = Tokenizer(models.BPE() if whole else models.WordLevel(unk_token="<pad>"))
    inner.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if whole else pre_tokenizers.WhitespaceSplit()
    )
    if whole:
        inner.decoder = decoders.ByteLevel()
        maker: Any = trainers.BpeTrainer(
            vocab_size=options.vocabulary, special_tokens=SPECIALS, show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )  # fmt: skip
    else:
        maker = trainers.WordLevelTrainer(special_tokens=SPECIALS, show_progress=False)
    inner.train_from_iterator((part for row in texts for part in row), maker)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="<end>", pad_token="<pad>",
        extra_special_tokens=["<user>", "<assistant>"],
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE if whole else TEMPLATE.replace("'<", "' <").replace(">'", "> '")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden,
            intermediate_size=3 * options.hidden,
            num_hidden_layers=options.layers,
            num_attention_heads=max(4, options.hidden // 64),
            max_position_embeddings=options.max_length,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def options_of_user() -> argparse.Namespace:
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3200, help="pairs")
    parser.add_argument("--texts", type=Path, nargs="+", help="JSONL(.gz) files of instruction and output")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=4096, help="tokens of the tokenizer trained on --texts")
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
    return parser.parse_args()


def main() -> None:
    """Measure and print the table."""
    options = options_of_user()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    texts = (real(options.texts) if options.texts else synthetic(options.rows))[: options.rows]
    pairs = [
        Pair(str(i), [{"role": "user", "content": prompt}], None, Response(chosen, 0), Response(rejected, 0))
        for i, (prompt, chosen, rejected) in enumerate(texts)
    ]
    ways: list[Callable[[Bench, str], float]] = [ideal, bare, ours, *([trl] if options.trl else [])]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), pairs, options)
        make_model(bench.folder / "model", texts, options)
        print(f"{'':8}" + "".join(f"{way.__name__:>12}" for way in ways) + f"{'ours/ideal':>12}{'ours/bare':>12}")
        for kind in options.kinds:
            best = {way.__name__: max(way(bench, kind) for _ in range(options.repeats)) for way in ways}
            shares = (best["ours"] / best["ideal"], best["ours"] / best["bare"])
            print(
                f"{kind:8}"
                + "".join(f"{rate:12,.0f}" for rate in best.values())
                + "".join(f"{s:12.0%}" for s in shares),
                flush=True,
            )


if __name__ == "__main__":
    main()
