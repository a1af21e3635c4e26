"""From responses and rewards to preference pairs: one small rule each, picking (chosen, rejected) by index."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

from mt.selection.base import Candidates, Selection, candidates, chance, counted
from mt.types import Pair, Rewards, Samples

Picks = list[tuple[int, int]]
Pick = Callable[..., Picks]
"""A rule: `pick(candidates, rng, **settings)` → indices of (chosen, rejected) among at least two distinct responses
whose rewards are not all equal."""


def select_pairs(
    rule: str,
    samples: Sequence[Samples],
    rewards: Sequence[Rewards],
    *,
    seed: int,
    source: str,
    score_scale: float,
    **settings: Any,
) -> Selection[Pair]:
    """Select preference pairs by the rule of that name, with rewards and win probabilities as facts about them.

    Prompts without two distinct responses or with equal rewards throughout give none (§5.1). `source` is written
    into the pairs; `score_scale` is that of `win_probabilities`. Raises DataError for rewards that are not finite.
    """
    pick, pairs, dropped, duplicates = PAIR_RULES[rule], list[Pair](), Counter[str](), 0
    for prompt in candidates(samples, rewards):
        duplicates += prompt.duplicates
        picks, reason = _apply(pick, prompt, chance(seed, prompt.prompt_id), settings)
        pairs += [_pair(prompt, *indices, source=source, score_scale=score_scale) for indices in picks]
        dropped[reason] += 1
    counts = counted(len(samples), len(pairs), dropped, ("too_few_distinct", "equal_rewards", "no_pair"))
    return Selection(pairs, counts | {"duplicate_responses": duplicates})


def length_controlled(
    prompt: Candidates,
    _rng: random.Random,
    *,
    shortest_in: Literal["characters"] | None = None,
    ties: Literal["order"] | None = None,
) -> Picks:
    """Pick the shortest response above the mean reward over the lowest one (Appendix A).

    The paper names neither a unit nor an order of equally short ones: tokens, and the higher reward before the one
    sampled first, unless `shortest_in` and `ties` say otherwise. Of the lowest rewards it is the one sampled first.
    """
    rewards = prompt.rewards
    low, high, mean = min(rewards), max(rewards), math.fsum(rewards) / len(rewards)
    # The extremes are compared by themselves: the mean of rewards that differ in their last bits may round to one.
    above = [index for index, reward in enumerate(rewards) if reward == high or (reward > mean and reward > low)]
    length = [len(one.text) if shortest_in == "characters" else one.n_tokens for one in prompt.responses]
    chosen = min(above, key=lambda index: (length[index], index if ties == "order" else -rewards[index]))
    return [(chosen, rewards.index(low))]


def best_worst(prompt: Candidates, _rng: random.Random) -> Picks:
    """Pick the highest reward over the lowest; among equals the one sampled first (SPPO, Wu et al. 2024b)."""
    return [(prompt.rewards.index(max(prompt.rewards)), prompt.rewards.index(min(prompt.rewards)))]


def rejection(prompt: Candidates, rng: random.Random, *, temperature: float) -> Picks:
    """Pick two responses by statistical rejection sampling and order them by reward (Liu et al. 2023, Algorithm 1).

    A response is accepted with probability exp((r − r_max)/β), r_max the best reward not yet accepted and β the
    `temperature` > 0: accepted ones are draws from the policy that is optimal under the rewards. Two are enough for
    one pair a prompt (the original takes 8 of 64 and pairs them at random).
    """
    rewards, left, accepted = prompt.rewards, list(range(len(prompt.rewards))), list[int]()
    while len(accepted) < 2:
        best = max(rewards[index] for index in left)
        passed = [index for index in left if rng.random() < math.exp((rewards[index] - best) / temperature)]
        accepted += passed
        left = [index for index in left if index not in passed]
    one, other = accepted[:2]
    return [(one, other) if rewards[one] > rewards[other] else (other, one)]


def tiers(prompt: Candidates, _rng: random.Random, *, rho: float) -> Picks:
    """Pick the shortest response of the best tier over the longest of the worst (Wu et al. 2024a, §2.1).

    The best tier reaches from S_max down to (1−ρ)S_max + ρS_min, the worst mirrors it; `rho` in [0, 0.5), where 0
    takes the best score over the worst. Equally long ones: the better, or the worse, reward, then the first
    sampled.
    """
    rewards, tokens = prompt.rewards, [response.n_tokens for response in prompt.responses]
    low, high = min(rewards), max(rewards)
    # min and max keep the extremes inside their own tiers, whatever the bounds round to.
    best = [index for index, reward in enumerate(rewards) if reward >= min(high, (1 - rho) * high + rho * low)]
    worst = [index for index, reward in enumerate(rewards) if reward <= max(low, (1 - rho) * low + rho * high)]
    chosen = min(best, key=lambda index: (tokens[index], -rewards[index]))
    return [(chosen, min(worst, key=lambda index: (-tokens[index], rewards[index])))]


def margin(prompt: Candidates, _rng: random.Random, *, margin: float, max_pairs: int) -> Picks:
    """Pick the best response over each that lies at least `margin` below, worst first (DNO, Rosset et al. 2024).

    At most `max_pairs` ≥ 1 pairs a prompt.
    """
    rewards = prompt.rewards
    best = rewards.index(max(rewards))
    order = sorted(range(len(rewards)), key=lambda index: rewards[index])
    return [(best, index) for index in order if rewards[best] - rewards[index] >= margin][:max_pairs]


PAIR_RULES: dict[str, Pick] = {
    "length_controlled": length_controlled,
    "best_worst": best_worst,
    "rejection": rejection,
    "tiers": tiers,
    "margin": margin,
}


def win_probabilities(rewards: Sequence[float], score_scale: float) -> list[float]:
    """Return each response's mean over all K of σ(`score_scale`·(s_i − s_j)), itself included as ½ (SPPO).

    A Bradley-Terry reward has a scale of its own, unlike the pairwise scorer of the original: hence `score_scale`.
    """
    return [math.fsum(_sigmoid(score_scale * (one - other)) for other in rewards) / len(rewards) for one in rewards]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))


def _apply(pick: Pick, prompt: Candidates, rng: random.Random, settings: dict[str, Any]) -> tuple[Picks, str]:
    """Return the picks, or none and the reason."""
    if len(prompt.responses) < 2:
        return [], "too_few_distinct"
    if min(prompt.rewards) == max(prompt.rewards):
        return [], "equal_rewards"
    picks = pick(prompt, rng, **settings)
    picks = [(chosen, rejected) for chosen, rejected in picks if prompt.rewards[chosen] > prompt.rewards[rejected]]
    return picks, "" if picks else "no_pair"


def _pair(prompt: Candidates, chosen: int, rejected: int, *, source: str, score_scale: float) -> Pair:
    rewards = (prompt.rewards[chosen], prompt.rewards[rejected])
    win_probability = dict(zip(prompt.all_rewards, win_probabilities(prompt.all_rewards, score_scale), strict=True))
    return Pair(
        prompt_id=prompt.prompt_id,
        messages=prompt.messages,
        section=prompt.section,
        chosen=prompt.responses[chosen],
        rejected=prompt.responses[rejected],
        chosen_reward=rewards[0],
        rejected_reward=rewards[1],
        chosen_win_probability=win_probability[rewards[0]],
        rejected_win_probability=win_probability[rewards[1]],
        source=source,
    )
