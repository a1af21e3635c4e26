"""Numbers beside the benchmarks: length bias, distance from the base."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mt.errors import DataError
from mt.evaluation.statistics import Array


def correlation(first_N: Sequence[float] | Array, second_N: Sequence[float] | Array) -> float | None:
    """Return Pearson's correlation, or None where one side does not vary."""
    first, second = np.asarray(first_N, dtype=float), np.asarray(second_N, dtype=float)
    if len(first) != len(second):
        raise DataError(f"n={len(first)} and n={len(second)}: a correlation needs aligned values.")
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    first, second = first - first.mean(), second - second.mean()
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def within_prompt_correlation(
    values_NK: Sequence[Sequence[float]], lengths_NK: Sequence[Sequence[float]]
) -> float | None:
    """Return the correlation of values with lengths, both centred within each prompt (K may differ by prompt).

    Centring removes what prompts have in common: long answers are due where questions are hard.
    """
    values = [np.asarray(row, dtype=float) - np.mean(row) for row in values_NK if len(row)]
    lengths = [np.asarray(row, dtype=float) - np.mean(row) for row in lengths_NK if len(row)]
    return correlation(np.concatenate(values), np.concatenate(lengths)) if values else None


def kl_from_samples(policy_K: Sequence[float] | Array, base_K: Sequence[float] | Array) -> float | None:
    """Return KL(policy ‖ base) in nats per response to one prompt, from log-probabilities of K samples of the policy.

    Both are sums over tokens, NaN where a response has none, which leaves it out; None where that leaves nothing. The
    plain mean of log π − log π_base: unbiased, and it may fall below 0 by chance where the two hardly differ.
    """
    ratio = np.asarray(policy_K, dtype=float) - np.asarray(base_K, dtype=float)
    ratio = ratio[~np.isnan(ratio)]
    return float(ratio.mean()) if len(ratio) else None


def distinct_n(texts: Sequence[str], n: int) -> float | None:
    """Return the share of different n-grams of white-space separated words (Li et al. 2016); None without any.

    The share falls as texts are added, so that only equally many texts compare: here, the K responses to a prompt.
    """
    grams = [
        tuple(words[at : at + n]) for words in (text.split() for text in texts) for at in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None


def duplicate_rate(texts_K: Sequence[str]) -> float | None:
    """Return the share of the responses to a prompt that repeat an earlier one; None without any."""
    return 1 - len(set(texts_K)) / len(texts_K) if texts_K else None
