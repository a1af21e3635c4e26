"""How far from the hardware sampling, scoring and training are, beside the usual chain of scripts on the same model.

    python -m benchmarks.throughput --model models/smollm2            # a real model, on this machine's CPU or GPU
    python -m benchmarks.throughput --shape smollm2 --dtype bfloat16  # random weights of that shape
    python -m benchmarks.throughput --shape llama_1b --dtype bfloat16 --prompts 64

The usual chain: `generate` in batches of 16, one pass for each of K seeds; responses scored one at a time; TRL's
trainers at their defaults. Every step loads its model, on both sides. Seconds are CPU seconds of this process with one
thread, so that neighbours matter less, and wall seconds on a GPU. "of ceiling" leaves loading out: FLOPs of generated,
scored and trained tokens (2 per weight forward, 6 with the backward pass) over those of a large matrix product in the
same precision and the same time; what prompts, recomputation and padding cost counts as lost.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
)
from transformers.utils import logging

from benchmarks.make_models import make_tokenizer
from benchmarks.training_bench import Bench, prepared, tokens_of
from benchmarks.training_throughput import ceiling, device_name
from benchmarks.training_trl import trl_trainer
from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.scoring.transformers import TransformersScorer
from mt.engines.settings import DecodingConfig
from mt.engines.text import open_chat
from mt.instructions.prompts import prompts
from mt.types import Pair, Prompt, Samples

SHAPES = {
    "smollm2": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "heads": (9, 3)},
    "llama_1b": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "heads": (32, 4)},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "heads": (4, 2)},
}
"""Widths and depths of Llamas with random weights; heads of queries, of keys and values."""
CHAIN_BATCH = 16


@dataclass
class Work:
    """One kind of work: seconds of both sides, and what ours reached."""

    name: str
    ours: float
    loading: float
    usual: float | None
    tokens: float
    flops: float

    def line(self, top: float) -> str:
        """Return it as a line of a Markdown table; `top` is the ceiling in FLOP/s."""
        computing = self.ours - self.loading
        usual = ("–", "–") if self.usual is None else (f"{self.usual:.1f}", f"{self.usual / self.ours:.2f}")
        cells = [self.name, f"{self.ours:.1f}", f"{self.loading:.1f}", *usual, f"{self.tokens / computing:,.0f}"]
        return f"| {' | '.join([*cells, f'{self.flops / computing / top:.0%}'])} |"


def main() -> None:
    """Measure and print."""
    options = parse()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    asked = prompts(0, "train", options.prompts, 0.2)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_models(folder, asked, options)
        top = ceiling(options)
        weights = sum(one.numel() for one in AutoModelForCausalLM.from_pretrained(folder / "model").parameters())
        print(
            f"{device_name()}, torch {torch.__version__}, {options.dtype}, {weights / 1e6:.0f}M weights, "
            f"{options.prompts} prompts x {options.samples}; ceiling {top / 1e12:.3f} TFLOP/s\n"
        )
        print(
            "| work | ours, s | of that loading | usual, s | times as fast | tokens/s | of ceiling |\n"
            + "|---" * 7
            + "|"
        )
        done = []
        for one in measured(folder, asked, options):
            print(one.line(top), flush=True)
            done.append(one)
        if all(one.usual is not None for one in done):
            ours, usual = sum(one.ours for one in done), sum(one.usual or 0.0 for one in done)
            print(f"| all | {ours:.1f} | | {usual:.1f} | {usual / ours:.2f} | | |")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a policy's folder")
    parser.add_argument("--shape", choices=list(SHAPES), default="tiny", help="random weights, without --model")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument(
        "--usual", action=argparse.BooleanOptionalAction, default=True, help="measure the usual chain too"
    )
    numbers = {
        "prompts": 24,
        "samples": 5,
        "new_tokens": 48,
        "threads": 1,
        "batch_size": 8,
        "micro_batch_tokens": 1024,
    }
    for name, value in numbers.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.set_defaults(max_length=256, group_by_length=8, report_steps=5, trl_batch=None, gradient_checkpointing=False)
    return parser.parse_args()


def write_models(folder: Path, asked: list[Prompt], options: argparse.Namespace) -> None:
    """Put the policy into `folder`/model, and a reward model of its body into `folder`/reward."""
    if options.model:
        (folder / "model").symlink_to(options.model.resolve())
    else:
        tokenizer = make_tokenizer([row.messages[0]["content"] for row in asked], 512, options.max_length)
        shape = dict(SHAPES[options.shape])
        heads, shared = shape.pop("heads")
        ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        words = 512 if options.shape == "tiny" else 49_152
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=words,
            num_attention_heads=heads,
            num_key_value_heads=shared,
            tie_word_embeddings=True,
            max_position_embeddings=2048,
            **shape,
            **ids,
        )
        LlamaForCausalLM(config).save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
    reward = AutoModelForSequenceClassification.from_pretrained(folder / "model", num_labels=1)
    reward.save_pretrained(folder / "reward")
    open_chat(folder / "model").tokenizer.save_pretrained(folder / "reward")


def measured(folder: Path, asked: list[Prompt], options: argparse.Namespace) -> Iterator[Work]:
    """Yield the kinds of work in the order of an iteration."""
    how: dict[str, Any] = {"dtype": options.dtype, "device": "auto", "threads": options.threads, "batch_tokens": 16384}
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    every = sum(one.numel() for one in model.parameters())
    body = every - model.get_input_embeddings().weight.numel()
    decoding = DecodingConfig(
        samples=options.samples,
        temperature=0.8,
        top_p=0.95,
        max_new_tokens=options.new_tokens,
        max_length=options.max_length,
    )
    generator = TransformersGenerator(name="transformers", long_prompts="drop", min_response_tokens=8, **how)
    found: list[Samples] = []

    def sample() -> float:
        with generator.open(folder / "model") as policy:
            begun = now()
            found.extend(policy.sample(asked, decoding, seed=0))
            return now() - begun

    seconds, computing = timed(sample)
    tokens = sum(len(response.ids or []) for row in found for response in row.responses)
    usual = timed(lambda: generate(folder, asked, options))[0] if options.usual else None
    yield Work("sampling", seconds, seconds - computing, usual, tokens, 2 * every * tokens)

    items = [(row.messages, response.text, True) for row in found for response in row.responses]
    how["batch_tokens"] = 65536 if torch.cuda.is_available() else 512  # what a CPU's caches hold
    scorer = TransformersScorer(name="transformers", max_length=options.max_length, strip_bos=False, **how)
    counts: dict[str, float] = {}

    def score() -> float:
        with scorer.open(folder / "reward") as reward:
            begun = now()
            list(reward.score(items))
            counts.update(reward.counts)
            return now() - begun

    seconds, computing = timed(score)
    usual = timed(lambda: score_singly(folder, items, options))[0] if options.usual else None
    yield Work("scoring", seconds, seconds - computing, usual, counts["tokens"], 2 * body * counts["tokens"])

    pairs = [Pair(row.prompt_id, row.messages, None, row.responses[0], row.responses[-1]) for row in found]
    different = [pair for pair in pairs if pair.chosen.text != pair.rejected.text]
    bench = Bench(folder, different[: len(different) // options.batch_size * options.batch_size], options)
    for kind, name in (("policy", "DPO, with its reference"), ("reward", "reward training")):
        yield trained(bench, kind, name, body, options)


def trained(bench: Bench, kind: str, name: str, body: int, options: argparse.Namespace) -> Work:
    """Measure one training; of the reference's log-probabilities loading and computing count as ours."""

    def reference() -> float:
        return float(kind == "policy" and len(str(bench.reference)))

    before = timed(reference)[0]
    engine, _ = prepared(bench, kind)
    tokens = tokens_of(engine)

    def train() -> float:
        ready, _ = prepared(bench, kind)
        begun = now()
        ready.train()
        return now() - begun

    seconds, computing = timed(train)
    usual = None
    if options.usual:
        usual = timed(lambda: train_by_trl(bench, kind, options))[0]
    passes = 8 if kind == "policy" else 6  # the reference reads every token once more
    return Work(name, before + seconds, seconds - computing, usual, tokens, passes * body * tokens)


def train_by_trl(bench: Bench, kind: str, options: argparse.Namespace) -> float:
    """Train by TRL's trainer, its loading and its preparation of the data included."""
    peer = trl_trainer(bench.folder, bench.pairs, kind, options, use_cpu=not torch.cuda.is_available())
    peer.remove_callback(PrinterCallback)
    peer.train()
    return 0.0


def generate(folder: Path, asked: list[Prompt], options: argparse.Namespace) -> float:
    """Sample as scripts do: batches of 16, one pass for each seed."""
    model = load(AutoModelForCausalLM, folder / "model", options)
    chat = open_chat(folder / "model")
    chat.tokenizer.padding_side = "left"
    texts = [
        chat.tokenizer.apply_chat_template(row.messages, add_generation_prompt=True, tokenize=False) for row in asked
    ]
    for seed in range(options.samples):
        torch.manual_seed(seed)
        for start in range(0, len(texts), CHAIN_BATCH):
            batch = chat.tokenizer(
                texts[start : start + CHAIN_BATCH], return_tensors="pt", padding=True, add_special_tokens=False
            )
            batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
            model.generate(
                **batch,
                do_sample=True,
                temperature=0.8,
                top_p=0.95,
                top_k=0,
                max_new_tokens=options.new_tokens,
                eos_token_id=chat.stop_ids,
                pad_token_id=chat.pad_id,
            )
    return 0.0


def score_singly(folder: Path, items: list[Any], options: argparse.Namespace) -> float:
    """Score as scripts do: one conversation at a time."""
    model, chat = load(AutoModelForSequenceClassification, folder / "reward", options), open_chat(folder / "reward")
    model.config.pad_token_id = chat.pad_id
    with torch.inference_mode():
        for messages, text, _ in items:
            rows = [*messages, {"role": "assistant", "content": text}]
            ids = chat.tokenizer.apply_chat_template(rows, return_tensors="pt", return_dict=True)["input_ids"]
            model(input_ids=ids.to(model.device)).logits.item()
    return 0.0


def load(kind: Any, folder: Path, options: argparse.Namespace) -> Any:
    """Load a model as scripts do."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return kind.from_pretrained(folder, dtype=getattr(torch, options.dtype)).to(device).eval()


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of some work, and what it returns."""
    begun = now()
    found = work()
    return now() - begun, found


def now() -> float:
    """Return CPU seconds of this process, or wall seconds where a GPU computes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


if __name__ == "__main__":
    sys.exit(main())
