"""The usual chain of scripts that throughput is measured beside: `generate`, one forward pass a row, TRL's trainers.

Each returns (seconds, of that loading): models, and for TRL the preparation of the data too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PrinterCallback

from benchmarks.training_bench import Bench, now
from benchmarks.training_trl import trl_trainer
from mt.engines.text import open_chat
from mt.types import Prompt

Seconds = tuple[float, float]


def generate(folder: Path, asked: list[Prompt], options: argparse.Namespace) -> Seconds:
    """Sample as scripts do: batches of prompts, one pass for each seed.

    `chain_calls` of the calls are measured, and taken for all.
    """
    begun = now()
    model = load(AutoModelForCausalLM, folder / "model", options)
    chat = open_chat(folder / "model")
    chat.tokenizer.padding_side = "left"
    loading = now() - begun
    texts = [
        chat.tokenizer.apply_chat_template(row.messages, add_generation_prompt=True, tokenize=False) for row in asked
    ]
    batches = [texts[start : start + options.chain_batch] for start in range(0, len(texts), options.chain_batch)]
    calls = [(seed, batch) for seed in range(options.samples) for batch in batches]
    measured = calls[: options.chain_calls]
    begun = now()
    for seed, batch in measured:
        torch.manual_seed(seed)
        rows = chat.tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
        model.generate(
            **{name: rows[name].to(model.device) for name in ("input_ids", "attention_mask")},
            do_sample=True,
            temperature=0.8,
            top_p=0.95,
            top_k=0,
            max_new_tokens=options.new_tokens,
            eos_token_id=chat.stop_ids,
            pad_token_id=chat.pad_id,
        )
    return loading + (now() - begun) * len(calls) / len(measured), loading


def score(folder: Path, items: list[Any], options: argparse.Namespace) -> Seconds:
    """Score as scripts do: one conversation at a time, or `chain_scored` of them in a padded batch, as they come."""
    begun = now()
    model, chat = load(AutoModelForSequenceClassification, folder / "reward", options), open_chat(folder / "reward")
    model.config.pad_token_id = chat.tokenizer.pad_token_id = chat.pad_id
    chat.tokenizer.padding_side = "right"
    loading = now() - begun
    rows = [[*messages, {"role": "assistant", "content": text}] for messages, text, _ in items]
    with torch.inference_mode():
        for start in range(0, len(rows), options.chain_scored):
            batch = chat.tokenizer.apply_chat_template(
                rows[start : start + options.chain_scored], return_tensors="pt", return_dict=True, padding=True
            )
            names = ("input_ids", "attention_mask")
            model(**{name: batch[name].to(model.device) for name in names}).logits.tolist()
    return now() - begun, loading


def train(bench: Bench, kind: str, options: argparse.Namespace) -> Seconds:
    """Train by TRL's trainer."""
    begun = now()
    peer = trl_trainer(bench.folder, bench.pairs, kind, options, use_cpu=not torch.cuda.is_available())
    peer.remove_callback(PrinterCallback)
    loading = now() - begun
    peer.train()
    return now() - begun, loading


def load(kind: Any, folder: Path, options: argparse.Namespace) -> Any:
    """Load a model as scripts do."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return kind.from_pretrained(folder, dtype=getattr(torch, options.dtype)).to(device).eval()
