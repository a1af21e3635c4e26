"""How fast scoring is, against the same model on one full batch without padding.

    python benchmarks/scoring_throughput.py                               # made-up texts of realistic lengths
    python benchmarks/scoring_throughput.py --data PROMPTS OUTPUTS ...    # real ones: JSONL(.gz)

Prompt files hold `prompt_id` and `prompt`, output files `prompt_id` and `response`. The reward model is a Llama of
the given size with random weights, its tokenizer a byte-level BPE trained on the texts. Tokens are counted without
padding; times are CPU seconds of this process, wall seconds on a GPU.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

from mt.engines.batching import token_batches
from mt.engines.scoring import Item
from mt.engines.scoring.conversations import fit_items
from mt.engines.scoring.transformers import LocalScorer, TransformersScorer, open_transformers

TEMPLATE = "{{ '<s>' }}{% for m in messages %}{{ '<' + m.role + '>' + m.content + '<end>' }}{% endfor %}"
SPECIALS = ["<pad>", "<s>", "<end>", "<user>", "<assistant>"]


def main() -> None:
    """Measure and print a table."""
    options = parse()
    items = read_items(options) if options.data else made_up_items(options)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), items, options)
        with open_transformers(settings(options), Path(folder)) as scorer:
            report(scorer, items, options)


def report(scorer: LocalScorer, items: list[Item], options: argparse.Namespace) -> None:
    """Print tokens per second of every way to spend the same tokens."""
    rows = fit_items(items, scorer.tokenizer, scorer.config, dict(scorer.counts))
    tokens = sum(map(len, rows))
    batches = token_batches([len(row) for row in rows], options.batch_tokens)
    padded = sum(len(batch) * max(len(rows[i]) for i in batch) for batch in batches)
    full = full_batch(rows, options.batch_tokens)
    repeats = max(1, round(tokens / sum(map(len, full))))
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "one full batch, no padding": (lambda: [scorer.rewards(full) for _ in range(repeats)], repeats),
        "scored, token ids at hand": (lambda: [scorer.rewards([rows[i] for i in batch]) for batch in batches], 0),
        "scored, from texts": (lambda: list(scorer.score(items)), 0),
        "in order of arrival": (lambda: arrival(scorer, rows, options.batch_tokens), 0),
    }
    scorer.rewards(full)
    speeds = {name: best_speed(way, full, tokens, times, options) for name, (way, times) in ways.items()}
    ideal = speeds["one full batch, no padding"]
    print(f"{len(items)} conversations, {tokens} tokens, longest {max(map(len, rows))}, {len(batches)} batches")
    size = f"{scorer.model.num_parameters() / 1e6:.1f}M parameters on {scorer.model.device}"
    print(f"{size}, batches of {options.batch_tokens} tokens, padding {1 - tokens / padded:.1%}")
    for name, speed in speeds.items():
        print(f"{name:28}{speed:>10.0f} tokens/s{speed / ideal:>8.1%}")
    if scorer.model.device.type == "cuda":
        print(f"{'of the matrix-product ceiling':28}{utilisation(scorer, rows, speeds['scored, from texts']):>26.1%}")


def best_speed(
    way: Callable[[], object], full: list[list[int]], tokens: int, times: int, options: argparse.Namespace
) -> float:
    """Return the best tokens per second of several runs."""
    spent = times * sum(map(len, full)) or tokens
    return max(spent / seconds(way, options) for _ in range(options.repeats))


def seconds(work: Callable[[], object], options: argparse.Namespace) -> float:
    """Time one run."""
    on_gpu = options.device != "cpu" and torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    work()
    return clock() - start


def full_batch(rows: list[list[int]], budget: int) -> list[list[int]]:
    """Return a batch whose rows all have the length that the average token stands in."""
    length = round(sum(len(row) ** 2 for row in rows) / sum(map(len, rows)))
    source = max(rows, key=len)
    return [(source * (1 + length // len(source)))[:length]] * max(1, budget // length)


def arrival(scorer: LocalScorer, rows: list[list[int]], budget: int) -> None:
    """Score in batches of as many rows as the longest allows, unsorted."""
    size = max(1, budget // max(map(len, rows)))
    for start in range(0, len(rows), size):
        scorer.rewards(rows[start : start + size])


def utilisation(scorer: LocalScorer, rows: list[list[int]], speed: float) -> float:
    """Return the share of the measured matrix-product ceiling that scoring reaches (model FLOPs only)."""
    config, device = scorer.model.config, scorer.model.device
    matrices = sum(p.numel() for name, p in scorer.model.named_parameters() if p.ndim == 2 and "embed" not in name)
    length = sum(len(row) ** 2 for row in rows) / sum(map(len, rows))
    flops = 2 * matrices + 2 * config.num_hidden_layers * config.hidden_size * length
    side = torch.randn(8192, 8192, device=device, dtype=scorer.model.dtype)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for turn in range(60):
        if turn == 20:
            start.record()
        side @ side
    end.record()
    torch.cuda.synchronize()
    return speed * flops / (40 * 2 * 8192**3 / (start.elapsed_time(end) / 1000))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", help="prompt and output files")
    numbers = {"items": 150, "hidden": 256, "layers": 4, "vocabulary": 4096, "max_length": 2048}
    for name, value in {**numbers, "batch_tokens": 8192, "repeats": 3, "threads": 1}.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


def settings(options: argparse.Namespace) -> TransformersScorer:
    """Return the scorer's settings."""
    return TransformersScorer(
        name="transformers", dtype=options.dtype, max_length=options.max_length, strip_bos=False,
        device=options.device, threads=options.threads, batch_tokens=options.batch_tokens,
    )  # fmt: skip


def read_items(options: argparse.Namespace) -> list[Item]:
    """Read prompts and outputs, join them by id, and take a random part of them."""
    rows = [row for path in options.data for row in read_jsonl(path)]
    prompts = {row["prompt_id"]: row["prompt"] for row in rows if "prompt" in row}
    answers = [(prompts[row["prompt_id"]], row["response"]) for row in rows if "response" in row]
    random.Random(0).shuffle(answers)
    return [([{"role": "user", "content": prompt}], answer, True) for prompt, answer in answers[: options.items]]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines, gzipped or not."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def made_up_items(options: argparse.Namespace) -> list[Item]:
    """Return texts of random words whose lengths are spread as those of instructions and answers are."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3000)]

    def text(mean_log: float, spread: float) -> str:
        return " ".join(draw.choices(words, k=max(3, round(draw.lognormvariate(mean_log, spread)))))

    return [([{"role": "user", "content": text(2.8, 0.9)}], text(5.4, 0.7), True) for _ in range(options.items)]


def write_model(folder: Path, items: list[Item], options: argparse.Namespace) -> None:
    """Write a reward model with random weights and a byte-level BPE tokenizer trained on the texts."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocabulary, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    inner.train_from_iterator((text for _, text, _ in items), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="<end>", pad_token="<pad>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=options.vocabulary, hidden_size=options.hidden, intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers, num_attention_heads=options.hidden // 64, num_labels=1,
        max_position_embeddings=options.max_length, pad_token_id=0,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)


if __name__ == "__main__":
    main()
