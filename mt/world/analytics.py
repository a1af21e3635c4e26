"""What gold says about samples, pairs and reward models; plain lists of one value per item, by section.

Every function returns {section: values} with the additional key "all", so that a caller can put its own interval
around the mean. Pairs that gold cannot tell apart (`gold_margin`) are left out, not counted half.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mt.types import Pair, Rewards, Samples
from mt.world.gold import gold, gold_prefers
from mt.world.world import World

ALL = "all"
BySection = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class BestOfK:
    """Gold of the response that the reward model picks, beside the mean and the best, one value per prompt."""

    picked: BySection
    mean: BySection
    oracle: BySection


def gold_rewards(world: World, samples: Samples) -> list[float]:
    """Return the gold rewards of one prompt's responses, in their order."""
    return [gold(world, samples.messages, response.text) for response in samples.responses]


def gold_means(world: World, samples: Iterable[Samples]) -> BySection:
    """Return the mean gold reward of each prompt's responses."""
    return _by_section((row.section, [_mean(gold_rewards(world, row))]) for row in samples if row.responses)


def pair_outcomes(world: World, pairs: Iterable[Pair]) -> BySection:
    """Return, per pair, 1 where gold agrees that the chosen response is the better one and 0 where it does not."""
    return _by_section((pair.section, _outcome(world, pair)) for pair in pairs)


def reward_outcomes(world: World, samples: Sequence[Samples], rewards: Sequence[Rewards]) -> BySection:
    """Return, per pair of one prompt's responses, 1 where the reward model ranks it as gold does, ½ for a tie."""
    return _by_section(
        (row.section, _ranking(world, row, scored.rewards)) for row, scored in zip(samples, rewards, strict=True)
    )


def best_of_k(world: World, samples: Sequence[Samples], rewards: Sequence[Rewards]) -> BestOfK:
    """Return what picking the highest reward is worth in gold."""
    picked, mean, oracle = [], [], []
    for row, scored in zip(samples, rewards, strict=True):
        golds = gold_rewards(world, row)
        best = max(range(len(golds)), key=scored.rewards.__getitem__)
        picked.append((row.section, [golds[best]]))
        mean.append((row.section, [_mean(golds)]))
        oracle.append((row.section, [max(golds)]))
    return BestOfK(_by_section(picked), _by_section(mean), _by_section(oracle))


def win_outcomes(world: World, samples: Sequence[Samples], opponents: Sequence[Samples]) -> BySection:
    """Return, per prompt, how often its responses beat the opponent's at the same place by gold; a tie counts ½."""
    return _by_section((a.section, [_wins(world, a, b)]) for a, b in zip(samples, opponents, strict=True))


def _outcome(world: World, pair: Pair) -> list[float]:
    right = gold_prefers(world, pair.messages, pair.chosen.text, pair.rejected.text)
    return [] if right is None else [float(right)]


def _ranking(world: World, samples: Samples, rewards: Sequence[float]) -> list[float]:
    golds = gold_rewards(world, samples)
    outcomes = []
    for i, j in combinations(range(len(golds)), 2):
        if abs(golds[i] - golds[j]) > world.language.gold_margin:
            agrees = (rewards[i] - rewards[j]) * (golds[i] - golds[j])
            outcomes.append(0.5 if agrees == 0 else float(agrees > 0))
    return outcomes


def _wins(world: World, samples: Samples, opponent: Samples) -> float:
    verdicts = [
        gold_prefers(world, samples.messages, ours.text, theirs.text)
        for ours, theirs in zip(samples.responses, opponent.responses, strict=True)
    ]
    return _mean([0.5 if verdict is None else float(verdict) for verdict in verdicts])


def _by_section(rows: Iterable[tuple[str | None, list[float]]]) -> BySection:
    values: BySection = {ALL: []}
    for section, found in rows:
        values[ALL] += found
        if section is not None:
            values.setdefault(section, []).extend(found)
    return values


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
