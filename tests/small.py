"""Runs of the world that are real in every part, and take seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mt.choice import _hash_of, option

SMALL = [
    "data.sizes.prompts=45",
    "data.sizes.demonstrations=256",
    "data.sizes.preferences=128",
    "data.sizes.benchmark_pairs=2",
    "data.policy_training.epochs=1",
    "data.reward_training.epochs=1",
    "reward.training.epochs=1",
    "data.policy.hidden_size=16",
    "data.policy.layers=1",
    "data.policy.heads=2",
    "data.policy.key_value_heads=2",
    "data.policy.feed_forward=32",
    "sampling.samples=3",
    "sampling.max_new_tokens=6",
    "eval.held_out.prompts=12",
    "eval.alpaca_eval.prompts=10",
    "eval.alpaca_eval.resamples=20",
    "eval.held_out.decoding.samples=2",
    "trainer.threads=1",
    "generator.threads=1",
    "scorer.threads=1",
    "logprobs.threads=1",
]


def small(folder: Path, *overrides: str) -> list[str]:
    """Return the command line of a small run whose store and records lie in `folder`."""
    return [*SMALL, f"store={folder}/store", f"runs={folder}/runs", *overrides]


@contextmanager
def own_modules(*names: str) -> Iterator[None]:
    """Forget afterwards what was imported from packages of a user's own: other tests have other ones of these names."""
    yield
    for name in [name for name in sys.modules if name.startswith(names)]:
        del sys.modules[name]
    option.cache_clear()
    _hash_of.cache_clear()
