from __future__ import annotations

from collections import Counter

import pytest

from mt.selection.agreement import agrees, thinned


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5, 3], True), ([5, 3, 3, 0], True), ([3, 5], False), ([4, 4], False), ([5, 2, 3], False), ([4, 4, 3], True),
    ],
)  # fmt: skip
def test_scores_agree_with_ranks_where_none_contradicts_and_not_all_are_equal(
    scores: list[int], expected: bool
) -> None:
    assert agrees(scores) is expected


def test_the_most_common_scores_are_thinned_and_the_rare_ones_kept() -> None:
    scores = [4] * 10 + [1] + [5] * 3
    kept = thinned(scores, 3, seed=0)
    assert kept == sorted(kept)
    assert Counter(scores[index] for index in kept) == {4: 3, 1: 1, 5: 3}
    assert thinned(scores, 3, seed=0) == kept != thinned(scores, 3, seed=1)
