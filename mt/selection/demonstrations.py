"""From responses and rewards to demonstrations: the best of K, or all of them weighted by reward (ReST-EM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mt.errors import DataError, describe
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


def with_demonstrations(
    samples: Sequence[Samples],
    rewards: Sequence[Rewards],
    demonstrations: Sequence[Demonstration],
    demonstration_rewards: Sequence[float],
) -> tuple[list[Samples], list[Rewards]]:
    """Add each prompt's demonstration to its candidates, as DNO does with the teacher's response.

    `demonstration_rewards` is aligned with `demonstrations`; prompts without one stay as they are.
    """
    if len(demonstrations) != len(demonstration_rewards):
        problem = f"there are {len(demonstrations)} demonstrations"
        raise DataError(describe("demonstration_rewards", len(demonstration_rewards), problem))
    gold = {
        row.prompt_id: (row.response, reward) for row, reward in zip(demonstrations, demonstration_rewards, strict=True)
    }
    grown, scored = list[Samples](), list[Rewards]()
    for row, given in zip(samples, rewards, strict=True):
        added = [gold[row.prompt_id]] if row.prompt_id in gold else []
        grown.append(replace(row, responses=row.responses + [response for response, _ in added]))
        scored.append(replace(given, rewards=given.rewards + [reward for _, reward in added]))
    return grown, scored
