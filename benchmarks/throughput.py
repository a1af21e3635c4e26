"""How far from the hardware sampling, scoring and training are, beside the usual chain of scripts on the same model.

    python -m benchmarks.throughput --model models/smollm2            # a real model, on this machine's CPU or GPU
    python -m benchmarks.throughput --shape smollm2                   # random weights of that shape
    bash benchmarks/gpu.sh                                            # what is measured on a GPU

The usual chain: `generate` in batches of 16, one pass for each of K seeds; responses scored one at a time; TRL's
trainers at their defaults (on a GPU in batches of 64, and 16 at a time). Every step loads its model, on both sides.
Seconds are CPU seconds of this process with one thread, so that neighbours matter less, and on a GPU wall seconds,
ours after a first pass that warms it up. "computing" and "of ceiling" leave loading out: FLOPs of generated, scored
and trained tokens (2 per weight forward, 6 with the backward pass, of the output head where a token is predicted)
over those of a large matrix product in the same precision and the same time; what prompts of responses,
recomputation, attention and padding cost counts as lost.
"""

from __future__ import annotations

import argparse
import copy
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from transformers.utils import logging

from benchmarks import throughput_chain as chain
from benchmarks.make_models import make_tokenizer
from benchmarks.training_bench import Bench, now, prepared, tokens_of
from benchmarks.training_throughput import ceiling, device_name
from mt.engines.generation.transformers import TransformersGenerator
from mt.engines.scoring.transformers import TransformersScorer
from mt.engines.settings import DecodingConfig
from mt.engines.text import open_chat
from mt.engines.training.process import spared_collector
from mt.instructions.prompts import prompts
from mt.types import Pair, Prompt, Samples

SHAPES = {
    "smollm2": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "heads": (9, 3)},
    "llama_1b": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "heads": (32, 4)},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "heads": (4, 2)},
}
"""Widths and depths of Llamas with random weights; heads of queries, of keys and values."""
GPU = {"dtype": "bfloat16", "prompts": 128, "new_tokens": 128, "max_length": 512, "pairs": 4, "batch_size": 64}
GPU |= {"batch_tokens": 131072, "score_tokens": 65536, "reference_tokens": 16384, "micro_batch_tokens": 16384}
GPU |= {"chain_batch": 64, "chain_calls": 2, "chain_scored": 16, "trl_batch": 16}
"""Other defaults on a GPU: what conf/ takes there, and the usual chain in batches that suit it."""


@dataclass
class Work:
    """One kind of work: seconds of both sides and of that loading, and what ours reached."""

    name: str
    ours: chain.Seconds
    usual: chain.Seconds | None
    tokens: float
    flops: float

    def line(self, top: float) -> str:
        """Return it as a line of a Markdown table; `top` is the ceiling in FLOP/s."""
        total, loading = self.ours
        computing = total - loading
        beside = ["–"] * 4
        if self.usual:
            whole, apart = self.usual
            beside = [f"{whole:.1f}", f"{apart:.1f}", f"{whole / total:.2f}", f"{(whole - apart) / computing:.2f}"]
        rates = [f"{self.tokens / computing:,.0f}", f"{self.flops / computing / top:.0%}"]
        return f"| {' | '.join([self.name, f'{total:.1f}', f'{loading:.1f}', *beside, *rates])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    asked = prompts(0, "train", options.prompts, 0.2)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        body, head = write_models(folder, asked, options)
        top = ceiling(options)
        print(
            f"{device_name()}, torch {torch.__version__}, {options.dtype}, {(body + head) / 1e6:,.0f}M weights, "
            f"{options.prompts} prompts x {options.samples} responses of up to {options.new_tokens} tokens; "
            f"ceiling {top / 1e12:.3f} TFLOP/s\n"
        )
        columns = ["work", "ours, s", "loading", "usual, s", "loading", "times as fast", "computing", "tokens/s"]
        print(f"| {' | '.join([*columns, 'of ceiling'])} |\n" + "|---" * 9 + "|")
        done = []
        for one in Measurement(folder, asked, options, body, head).works():
            print(one.line(top), flush=True)
            done.append(one)
        if options.usual:
            ours, usual = sum(one.ours[0] for one in done), sum(one.usual[0] for one in done if one.usual)
            print(f"| all | {ours:.1f} | | {usual:.1f} | | {usual / ours:.2f} | | | |")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a policy's folder")
    parser.add_argument("--shape", choices=list(SHAPES), default="tiny", help="random weights, without --model")
    kinds = ["sampling", "scoring", "dpo", "reward"]
    parser.add_argument("--works", nargs="+", choices=kinds, default=kinds, help="what is measured, in this order")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    flag = argparse.BooleanOptionalAction
    parser.add_argument("--usual", action=flag, default=True, help="measure the usual chain too")
    parser.add_argument("--chain-batch", type=int, default=16, help="prompts of one `generate`")
    parser.add_argument("--chain-calls", type=int, help="calls of `generate` that are measured, and taken for all")
    parser.add_argument("--chain-scored", type=int, default=1, help="conversations that are scored together")
    parser.add_argument("--trl-batch", type=int, help="pairs that TRL computes at once (default: a whole batch)")
    numbers = {"prompts": 24, "samples": 5, "pairs": 1, "new_tokens": 48, "threads": 1, "batch_size": 8}
    budgets = {"batch_tokens": 32768, "score_tokens": 512, "reference_tokens": 512, "micro_batch_tokens": 512}
    for name, value in {**numbers, **budgets, "max_length": 256}.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.set_defaults(group_by_length=8, report_steps=5, gradient_checkpointing=False)
    if torch.cuda.is_available():
        parser.set_defaults(**GPU)
    return parser.parse_args(arguments)


def write_models(folder: Path, asked: list[Prompt], options: argparse.Namespace) -> tuple[int, int]:
    """Put the policy into `folder`/model, and a reward model of its body into `folder`/reward.

    Returns the weights of the body and those of the embedding, which is the output head as well.
    """
    if options.model:
        (folder / "model").symlink_to(options.model.resolve())
        policy = AutoModelForCausalLM.from_pretrained(folder / "model")
    else:
        shape = dict(SHAPES[options.shape])
        heads, shared = shape.pop("heads")
        words = 512 if options.shape == "tiny" else 49_152
        tokenizer = make_tokenizer([row.messages[0]["content"] for row in asked] * 4 + made_up(words), words, 2048)
        tokenizer.save_pretrained(folder / "model")
        config = LlamaConfig(
            vocab_size=words,
            num_attention_heads=heads,
            num_key_value_heads=shared,
            tie_word_embeddings=True,
            max_position_embeddings=2048,
            **shape,
            **{name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
        )
        torch.manual_seed(0)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            policy = LlamaForCausalLM(config).to(getattr(torch, options.dtype))
        policy.save_pretrained(folder / "model")
    config = copy.deepcopy(policy.config)
    config.num_labels, config.tie_word_embeddings = 1, False
    with torch.device(policy.device):
        reward = LlamaForSequenceClassification(config).to(policy.dtype)
    reward.model = policy.model
    reward.save_pretrained(folder / "reward")
    open_chat(folder / "model").tokenizer.save_pretrained(folder / "reward")
    head = policy.get_input_embeddings().weight.numel()
    return policy.num_parameters() - head, head


def made_up(words: int) -> list[str]:
    """Return texts whose tokenizer has about so many tokens: random weights draw from all of them."""
    if words < 10_000:
        return []
    random_ = random.Random(0)
    syllables = [
        first + rest for first in "bcdfghjklmnpqrstvwz" for rest in ("a", "e", "i", "o", "an", "er", "ou", "st")
    ]
    return [
        " ".join("".join(random_.choices(syllables, k=random_.randint(1, 3))) for _ in range(20)) for _ in range(3000)
    ]


@dataclass
class Measurement:
    """Models in a folder, the prompts that they are asked, and what their computations cost."""

    folder: Path
    asked: list[Prompt]
    options: argparse.Namespace
    body: int
    head: int

    def works(self) -> Iterator[Work]:
        """Yield the kinds of work in the order that is asked for; all of them read the policy's responses."""
        found, seconds = self.warmed(self.sample, self.asked)
        kinds = {
            "sampling": partial(self.sampling, found, seconds),
            "scoring": partial(self.scoring, found),
            "dpo": partial(self.training, "policy", found),
            "reward": partial(self.training, "reward", found),
        }
        for name in self.options.works:
            yield kinds[name]()

    def sampling(self, found: list[Samples], seconds: chain.Seconds) -> Work:
        """Return what sampling cost."""
        tokens = sum(len(response.ids or []) for row in found for response in row.responses)
        usual = chain.generate(self.folder, self.asked, self.options) if self.options.usual else None
        return Work("sampling", seconds, usual, tokens, 2 * (self.body + self.head) * tokens)

    def scoring(self, found: list[Samples]) -> Work:
        """Score the responses."""
        items = [(row.messages, response.text, True) for row in found for response in row.responses]
        tokens, ours = self.warmed(self.score, items)
        usual = chain.score(self.folder, items, self.options) if self.options.usual else None
        return Work("scoring", ours, usual, tokens, 2 * self.body * tokens)

    def training(self, kind: str, found: list[Samples]) -> Work:
        """Train on pairs of the responses."""
        options = self.options
        pairs = [
            Pair(row.prompt_id, row.messages, None, chosen, rejected)
            for row in found
            for chosen, rejected in zip(row.responses[: options.pairs], row.responses[-options.pairs :], strict=True)
            if chosen.text != rejected.text
        ]
        pairs = pairs[: len(pairs) // options.batch_size * options.batch_size]
        (tokens, predicted), ours = self.warmed(partial(self.train, kind), pairs)
        usual = chain.train(Bench(self.folder, pairs, options), kind, options) if options.usual else None
        name, passes = ("DPO, with its reference", 8) if kind == "policy" else ("reward training", 6)
        # of the passes: 2 forward, 4 backward, and 2 of the reference, which reads every token once more
        return Work(name, ours, usual, tokens, passes * (self.body * tokens + self.head * predicted))

    def warmed(self, work: Callable[[list[Any]], Any], rows: list[Any]) -> Any:
        """Return what some work on rows returns; on a GPU after a first pass over a few of them."""
        if torch.cuda.is_available():
            work(rows[: self.options.batch_size])
        return work(rows)

    def sample(self, asked: list[Prompt]) -> tuple[list[Samples], chain.Seconds]:
        """Return the responses, and the seconds they took."""
        options = self.options
        generator = TransformersGenerator(
            name="transformers",
            long_prompts="drop",
            min_response_tokens=8,
            dtype=options.dtype,
            device="auto",
            threads=options.threads,
            batch_tokens=options.batch_tokens,
        )
        decoding = DecodingConfig(
            samples=options.samples,
            temperature=0.8,
            top_p=0.95,
            max_new_tokens=options.new_tokens,
            max_length=options.max_length,
        )
        begun = now()
        with generator.open(self.folder / "model") as policy:
            loaded = now()
            found = list(policy.sample(asked, decoding, seed=0))
            return found, (now() - begun, loaded - begun)

    def score(self, items: list[Any]) -> tuple[int, chain.Seconds]:
        """Return the tokens of the conversations, and the seconds that scoring them took."""
        options = self.options
        scorer = TransformersScorer(
            name="transformers",
            max_length=options.max_length,
            strip_bos=False,
            dtype=options.dtype,
            device="auto",
            threads=None if torch.cuda.is_available() else options.threads,
            batch_tokens=options.score_tokens,
        )
        begun = now()
        with scorer.open(self.folder / "reward") as reward:
            loaded = now()
            list(reward.score(items))
            return reward.counts["tokens"], (now() - begun, loaded - begun)

    def train(self, kind: str, pairs: list[Pair]) -> tuple[tuple[int, int], chain.Seconds]:
        """Train, a policy after its reference's log-probabilities; return tokens read and predicted, and seconds."""
        bench = Bench(self.folder, pairs, self.options)
        total, loading = bench.refer() if kind == "policy" else (0.0, 0.0)
        begun = now()
        engine, _ = prepared(bench, kind)
        loaded = now()
        with spared_collector():
            engine.train()
            ended = now()
        steps = engine.steps
        sequences = [sequence for rows in steps.batches for row in rows for sequence in steps.examples[row].sequences]
        predicted = sum(count for _, count in sequences) if kind == "policy" else 0
        return (tokens_of(engine), predicted), (total + ended - begun, loading + loaded - begun)


if __name__ == "__main__":
    main()
