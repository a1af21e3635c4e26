"""Tokens per second of the decoding loop against `generate` of transformers, on the same batches.

python benchmarks/generation_throughput.py [--hidden 256 --layers 4 --vocabulary 4096 --prompts 64 --new-tokens 96]

The model has random weights; responses end at random after `--mean-length` tokens on average, as real ones do.
Times are CPU seconds of this process (wall seconds on a GPU), so that neighbours on the machine matter less.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mt.engines.batching import token_batches
from mt.engines.devices import choose_device, choose_dtype, cpu_threads
from mt.engines.generation.decoding import Batch
from mt.engines.generation.prompts import Ready
from mt.engines.settings import DecodingConfig
from mt.types import Prompt

PAD = 0


def main() -> None:
    """Measure both and print a table."""
    arguments = parse()
    with cpu_threads(arguments.threads) as threads:
        model, ready = make_model(arguments), make_prompts(arguments)
        stop = list(range(1, 1 + arguments.vocabulary // arguments.mean_length))
        sizes = [(len(row.ids) + row.room) * arguments.samples for row in ready]
        batches = [[ready[i] for i in batch] for batch in token_batches(sizes, arguments.batch_tokens)]
        print(f"{model.num_parameters() / 1e6:.1f}M parameters, {len(batches)} batches, {threads} threads")
        print(f"{'':14}{'tokens':>9}{'seconds':>9}{'tokens/s':>10}")
        for name, decode in (("this project", own), ("transformers", generate)):
            best = min(timed(decode, model, batches, arguments, stop) for _ in range(arguments.repeats))
            print(f"{name:14}{best[1]:>9}{best[0]:>9.2f}{best[1] / best[0]:>10.0f}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = {"hidden": 256, "layers": 4, "vocabulary": 4096, "prompts": 64, "samples": 5, "new_tokens": 96}
    for name, value in {**numbers, "mean_length": 32, "batch_tokens": 32768, "repeats": 3, "threads": 1}.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


def make_model(arguments: argparse.Namespace) -> Any:
    """Return a Llama with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.hidden,
        intermediate_size=3 * arguments.hidden,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.hidden // 64,
        max_position_embeddings=4096,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config).to(choose_device(arguments.device), choose_dtype(arguments.dtype)).eval()


def make_prompts(arguments: argparse.Namespace) -> list[Ready]:
    """Return prompts whose lengths are spread as those of instructions are."""
    draw = random.Random(0)
    lengths = [min(512, max(4, round(draw.lognormvariate(3.6, 0.7)))) for _ in range(arguments.prompts)]
    rows = [draw.choices(range(1, arguments.vocabulary), k=length) for length in lengths]
    return [Ready(Prompt(str(i), []), ids, arguments.new_tokens) for i, ids in enumerate(rows)]


def own(model: Any, batch: list[Ready], arguments: argparse.Namespace, stop: list[int]) -> int:
    """Decode a batch by this project's loop; return the tokens generated, end tokens included."""
    decoding = DecodingConfig(
        samples=arguments.samples, temperature=0.8, top_p=0.95, max_new_tokens=arguments.new_tokens, max_length=4096
    )
    rows = Batch(model, batch, decoding, seed=0, copies=arguments.samples).decode(stop, PAD)
    return sum(len(ids) + finished for ids, finished in rows)


def generate(model: Any, batch: list[Ready], arguments: argparse.Namespace, stop: list[int]) -> int:
    """Decode a batch by transformers."""
    width = max(len(row.ids) for row in batch)
    ids = torch.tensor([[PAD] * (width - len(row.ids)) + row.ids for row in batch], device=model.device)
    out = model.generate(
        input_ids=ids,
        attention_mask=(ids != PAD).long(),
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        top_k=0,
        num_return_sequences=arguments.samples,
        max_new_tokens=arguments.new_tokens,
        pad_token_id=PAD,
        eos_token_id=stop,
    )
    return int((out[:, width:] != PAD).sum())


Decode = Callable[[Any, list[Ready], argparse.Namespace, list[int]], int]


def timed(
    decode: Decode, model: Any, batches: list[list[Ready]], arguments: argparse.Namespace, stop: list[int]
) -> tuple[float, int]:
    """Return (seconds, tokens) of all batches."""
    clock = time.perf_counter if model.device.type == "cuda" else time.process_time
    with torch.inference_mode():
        start = clock()
        tokens = sum(_counts(decode, model, batches, arguments, stop))
        return clock() - start, tokens


def _counts(
    decode: Decode, model: Any, batches: list[list[Ready]], arguments: argparse.Namespace, stop: list[int]
) -> Iterator[int]:
    return (decode(model, batch, arguments, stop) for batch in batches)


if __name__ == "__main__":
    main()
