"""From responses and rewards to demonstrations: the best of K, or all of them weighted by reward (ReST-EM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mt.selection.base import Candidates, Selection, candidates
from mt.types import Demonstration, Rewards, Samples

Weigh = Callable[..., list[tuple[int, float]]]
"""A rule: `weigh(candidates, **settings)` → indices of the responses to imitate and their weights."""


def select_demonstrations(
    rule: str, samples: Sequence[Samples], rewards: Sequence[Rewards], **settings: Any
) -> Selection[Demonstration]:
    """Select demonstrations by the rule of that name; DataError for rewards that are not finite."""
    weigh, rows, duplicates = DEMONSTRATION_RULES[rule], list[Demonstration](), 0
    for prompt in candidates(samples, rewards):
        duplicates += prompt.duplicates
        for index, weight in weigh(prompt, **settings):
            response = prompt.responses[index]
            rows.append(Demonstration(prompt.prompt_id, prompt.messages, prompt.section, response, weight))
    return Selection(rows, {"prompts": len(samples), "kept": len(rows), "duplicate_responses": duplicates})


def best_of_k(prompt: Candidates) -> list[tuple[int, float]]:
    """Take the response with the highest reward, among equals the one sampled first."""
    return [(prompt.rewards.index(max(prompt.rewards)), 1.0)]


def reward_weighted(prompt: Candidates, *, temperature: float) -> list[tuple[int, float]]:
    """Take all distinct responses, weighted by the softmax of reward/`temperature`, with mean 1 over the prompt.

    ReST-EM's E-step (Singh et al. 2023, §3) with f(r) = exp(r/τ), as a Bradley-Terry reward may be negative:
    weights of the posterior over the policy's own samples, normalised per prompt. As τ → 0 it is the best of K.
    """
    best = max(prompt.rewards)
    masses = [math.exp((reward - best) / temperature) for reward in prompt.rewards]
    scale = len(masses) / math.fsum(masses)
    return [(index, mass * scale) for index, mass in enumerate(masses)]


DEMONSTRATION_RULES: dict[str, Weigh] = {"best_of_k": best_of_k, "reward_weighted": reward_weighted}
