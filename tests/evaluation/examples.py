"""Synthetic judged pairs with a known length bias, shared by the tests of evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from mt.evaluation.alpaca_eval import Annotation, read_annotations
from mt.evaluation.gamed import GamedRow, gamed_rows


def annotation(**changes: Any) -> dict[str, Any]:
    """A row of annotations.json."""
    row = {
        "instruction": "Name a fox.",
        "output_1": "A red fox.",
        "output_2": "Fennec.",
        "generator_1": "baseline",
        "generator_2": "model",
        "preference": 2.0,
    }
    return row | changes


def judged(
    n: int, *, name: str = "model", length_ratio: float = 1.2, quality: float = -0.6, seed: int = 0
) -> list[dict[str, Any]]:
    """N rows in which longer answers and easy instructions are preferred."""
    shared, own = np.random.default_rng(99), np.random.default_rng(seed)
    baseline = shared.integers(30, 300, n)
    lengths = np.maximum(1, baseline * length_ratio * np.exp(own.normal(0, 0.3, n))).astype(int)
    eta = 0.5 * np.tanh((lengths - baseline) / 80) + 0.8 * easiness(n) + quality + own.normal(0, 1.5, n)
    preferences = 1 + 1 / (1 + np.exp(-eta))
    return [
        annotation(
            instruction=f"Question {at} ü",
            output_1="é" * int(baseline[at]),
            output_2="ß" * int(lengths[at]),
            generator_2=name,
            preference=float(preferences[at]),
        )
        for at in range(n)
    ]


def easiness(n: int) -> np.ndarray:
    """How easily each of n instructions is won."""
    return np.random.default_rng(100).normal(size=n)


def typed(rows: list[dict[str, Any]]) -> list[Annotation]:
    """Rows as they are read from a file."""
    return read_annotations(rows, "test")


def gamed(n: int) -> list[GamedRow]:
    """Verbose and concise baselines on the same n instructions."""
    verbose = typed(judged(n, name="verbose", length_ratio=1.5, quality=0, seed=1))
    concise = typed(judged(n, name="concise", length_ratio=0.6, quality=0, seed=2))
    return gamed_rows([verbose, concise], easiness(n).tolist())
