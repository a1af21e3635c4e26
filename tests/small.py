"""Runs of the world that are real in every part, and take seconds."""

from __future__ import annotations

from pathlib import Path

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
