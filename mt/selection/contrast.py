"""Pairs that are labelled by where their responses come from."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mt.errors import DataError, describe
from mt.selection.base import Selected, chance, check_aligned, counted
from mt.types import Demonstration, Pair, Response, Rewards, Samples


def contrast(
    new: Sequence[Samples],
    old: Sequence[Samples],
    *,
    seed: int | None,
    new_rewards: Sequence[Rewards] | None = None,
    old_rewards: Sequence[Rewards] | None = None,
) -> Selected[Pair]:
    """Pair a response of the new policy (chosen) with one of the old policy (rejected), one pair a prompt (Eq. 5).

    Of the K samples the first is taken: they are independent draws, so none is special. With a `seed` each side
    draws one by chance instead. Identical texts, and prompts that only one policy answered, give no pair. Where a
    scorer's rewards are given, the pairs carry them, and `agreeing` counts those whose chosen response the scorer
    prefers too.
    """
    before = dict(zip((row.prompt_id for row in old), _scored(old, old_rewards), strict=True))
    pairs, dropped = list[Pair](), Counter[str]()
    for row, scored in zip(new, _scored(new, new_rewards), strict=True):
        rng = None if seed is None else chance(seed, row.prompt_id)
        other = before.get(row.prompt_id)
        if other is None:
            dropped["unmatched"] += 1
            continue
        (chosen, reward), (rejected, old_reward) = _one(scored, rng), _one(other, rng)
        if chosen.text == rejected.text:
            dropped["identical"] += 1
            continue
        facts = (row.prompt_id, row.messages, row.section, chosen, rejected, reward, old_reward)
        pairs.append(Pair(*facts, source="contrast"))
    counts = counted(len(new), len(pairs), dropped, ("identical", "unmatched"))
    if new_rewards is not None and old_rewards is not None:
        counts["agreeing"] = sum(gain > 0 for gain in gains(pairs))
    return Selected(pairs, counts)


def against_demonstrations(
    samples: Sequence[Samples], demonstrations: Sequence[Demonstration], *, seed: int | None
) -> Selected[Pair]:
    """Pair each prompt's demonstration (chosen) with the policy's own response (rejected), as SPIN does.

    Chen et al. 2024, Algorithm 1; the response is chosen as in `contrast`, and identical texts give no pair.
    """
    shown = [Samples(row.prompt_id, row.messages, row.section, [row.response]) for row in demonstrations]
    selection = contrast(shown, samples, seed=seed)
    return Selected([replace(pair, source="spin") for pair in selection.rows], selection.counts)


def gains(pairs: Sequence[Pair]) -> list[float]:
    """Return the reward of the chosen over the rejected response of each pair; DataError where there is none."""
    found = []
    for pair in pairs:
        chosen, rejected = pair.chosen_reward, pair.rejected_reward
        if chosen is None or rejected is None or not math.isfinite(chosen - rejected):
            problem = "the pair has no finite rewards to compute a gain from"
            raise DataError(describe(f"rewards of prompt {pair.prompt_id}", (chosen, rejected), problem))
        found.append(chosen - rejected)
    return found


def mix(pairs: Sequence[Pair], extra: Sequence[Pair], *, share: float, seed: int) -> Selected[Pair]:
    """Add a random part of `extra`, so that it makes up `share` in [0, 1) of the result, or all of it if too few.

    For replay of older preferences, for offline beside self-labelled ones (SAIL), for judge beside actor pairs.
    """
    if not 0 <= share < 1:
        raise DataError(describe("share", share, "not a share of the result", allowed="0 <= share < 1"))
    wanted = min(round(len(pairs) * share / (1 - share)), len(extra))
    added = random.Random(seed).sample(list(extra), wanted)
    return Selected([*pairs, *added], {"kept": len(pairs) + wanted, "extra": wanted})


Scored = list[tuple[Response, float | None]]


def _scored(samples: Sequence[Samples], rewards: Sequence[Rewards] | None) -> list[Scored]:
    if rewards is None:
        return [[(response, None) for response in row.responses] for row in samples]
    by_prompt = {row.prompt_id: row for row in rewards}
    scored = [by_prompt.get(row.prompt_id, Rewards(row.prompt_id, [])) for row in samples]
    for row, given in zip(samples, scored, strict=True):
        check_aligned(row, given)
    return [list(zip(row.responses, given.rewards, strict=True)) for row, given in zip(samples, scored, strict=True)]


def _one(scored: Scored, rng: random.Random | None) -> tuple[Response, float | None]:
    return scored[0] if rng is None else rng.choice(scored)
