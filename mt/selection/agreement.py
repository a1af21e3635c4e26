"""Which judgments teach how to judge: those whose scores order replies as people did (Yuan et al. 2024, §3.1)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise


def agrees(scores: Sequence[int]) -> bool:
    """Return whether the scores of replies, in the order of people's ranks, agree with those ranks.

    No reply scores higher than one that people prefer, and the last scores lower than the first: scores from 0 to 5
    leave no room for a strict order of many replies (our reading).
    """
    return all(before >= after for before, after in pairwise(scores)) and scores[0] > scores[-1]


def thinned(scores: Sequence[int], most: int, seed: int) -> list[int]:
    """Return which judgments remain, in order, where at most `most` may have one score; the others go at random."""
    found = defaultdict[int, list[int]](list)
    for index, score in enumerate(scores):
        found[score].append(index)
    rng = random.Random(f"thinned/{seed}")
    kept = (rng.sample(found[score], min(most, len(found[score]))) for score in sorted(found))
    return sorted(index for indices in kept for index in indices)
