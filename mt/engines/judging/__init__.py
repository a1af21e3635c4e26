"""Judging: which of two responses is better, one class and one file a judge."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mt.engines.judging.base import Judge, JudgeContext, Prefer, Style
from mt.engines.judging.protocol import OpenJudge
from mt.types import Comparison, Messages

__all__ = ["Judge", "JudgeContext", "OpenJudge", "Prefer", "Style", "both_orders", "coin_order", "open_judge"]


@contextmanager
def open_judge(judge: Judge, context: JudgeContext, cache: Path | None) -> Iterator[OpenJudge]:
    """Open a judge for the length of a block.

    Args:
        judge: The judge's settings.
        context: What it is asked for, and what it needs beside its settings.
        cache: Folder of judgments by content, shared by runs; None keeps nothing.

    Raises:
        JudgeError: the judge lacks what it needs.
        ConfigError: a template cannot be used.
    """
    own = cache / judge.code[:12] if cache and judge.code else cache  # what the user's own code answered is its own
    opened = OpenJudge(judge.backend(replace(context, cache=cache)), context.style, own)
    try:
        yield opened
    finally:
        opened.close()


def coin_order(prompt: str, seed: int) -> str:
    """Return the order in which a prompt's responses are shown: a seeded coin per instruction (AlpacaEval)."""
    return random.Random(f"{seed}/{prompt}").choice(("baseline_first", "model_first"))


def both_orders(prompt_id: str, messages: Messages, baseline: str, model: str) -> Sequence[Comparison]:
    """Return Arena-Hard's two games: the baseline first, then the model first."""
    orders = ("baseline_first", "model_first")
    return [Comparison(prompt_id, messages, baseline, model, order) for order in orders]
