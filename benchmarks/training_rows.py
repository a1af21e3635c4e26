"""Rows and models from scratch for measuring training: made-up short texts, or real prompts and responses."""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.make_models import ASSISTANT, BOS, CHAT_TEMPLATE, END, PAD, SPECIAL, SYSTEM, USER, make_tokenizer
from mt.types import Pair, Response

Texts = tuple[str, str, str]
"""A prompt, and a chosen and a rejected response."""


def made_up(rows: int, seed: int = 0) -> list[Texts]:
    """Return short texts: prompts of 5 to 11 words, responses of 2 to 7."""
    random_ = random.Random(seed)
    words = [f"{a}{b}" for a in "bdfgklmn" for b in ("a", "e", "i", "o", "u", "an", "el", "is", "or", "un", "ax", "ip")]

    def text(low: int, high: int) -> str:
        return " ".join(random_.choice(words) for _ in range(random_.randint(low, high)))

    return [(text(5, 11), text(2, 7), text(2, 7)) for _ in range(rows)]


def real(prompts: Path, one: Path, other: Path) -> list[Texts]:
    """Return the prompts of one JSONL(.gz) file with the responses of two others."""
    chosen, rejected = ({row["prompt_id"]: row["response"] for row in read_lines(path)} for path in (one, other))
    found = []
    for row in read_lines(prompts):
        name = row["prompt_id"]
        if chosen.get(name, "").strip() and rejected.get(name, "").strip():
            found.append((row["prompt"], chosen[name], rejected[name]))
    return found


def read_lines(path: Path) -> list[dict[str, str]]:
    """Return the rows of a JSONL(.gz) file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.decode().split("\n") if line.strip()]


def as_pairs(texts: list[Texts]) -> list[Pair]:
    """Return texts as preference pairs."""
    return [
        Pair(str(i), [{"role": "user", "content": prompt}], None, Response(chosen, 0), Response(rejected, 0))
        for i, (prompt, chosen, rejected) in enumerate(texts)
    ]


def write_model(folder: Path, texts: list[Texts], options: argparse.Namespace) -> None:
    """Write a Llama of the wanted size with random weights, and a tokenizer for the texts."""
    parts = [part for row in texts for part in row]
    tokenizer = make_tokenizer(parts, options.vocabulary, options.max_length) if options.data else word_tokenizer(parts)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.hidden,
        intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=max(4, options.hidden // 64),
        max_position_embeddings=options.max_length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def word_tokenizer(parts: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer with a token per word."""
    words = Tokenizer(models.WordLevel(unk_token=PAD))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.train_from_iterator(parts, trainers.WordLevelTrainer(special_tokens=list(SPECIAL), show_progress=False))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
