"""Similarities of responses, by numbers counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.choice import names
from mt.errors import DataError
from mt.selection import mixed_rewards
from mt.selection.similarities import Similarity
from mt.selection.similarities.final_answer import final_answer
from mt.types import Rewards

PACKAGES = {"rouge_l": "rouge_score", "chrf": "sacrebleu"}
texts = st.lists(st.sampled_from(["red", "blue", "fox", "owl", "the", "a"]), max_size=6).map(" ".join)


def similarity(name: str) -> Similarity:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return Similarity.model_validate({"name": name})


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("words", "the cat sat on", "the cat ran on", 2 * 3 / 8),  # the cat … on
        ("words", "b a", "a b", 2 * 1 / 4),  # one run of matching words
        ("words", "", "", 1),
        ("words", "a", "", 0),
        ("rouge_l", "the cat sat on", "the cat ran on it", 2 * 3 / 9),
        ("rouge_l", "a b c d", "a c b d", 2 * 3 / 8),  # a c d
        ("rouge_l", "кот спит", "кот ест", 2 * 1 / 4),
        ("chrf", "abc", "abd", (2 / 3 + 1 / 2 + 0) / 3),  # 1, 2 and 3 characters; precision is recall
        ("final_answer", "so the answer is 1,200.", "1200 it is", 1),
        ("final_answer", "the answer is 12", "the answer is 13", 0),
        ("final_answer", "no number", "no number", 0),
    ],
)
def test_similarity_of_two_texts(name: str, first: str, second: str, expected: float) -> None:
    one = similarity(name)
    assert one.between(first, second) == pytest.approx(expected)
    assert one.between(second, first) == pytest.approx(expected)


@pytest.mark.parametrize("name", names(Similarity))
@given(first=texts, second=texts)
def test_every_similarity_is_symmetric_and_at_most_one(name: str, first: str, second: str) -> None:
    one = similarity(name)
    value = one.between(first, second)
    assert 0 <= value <= 1 + 1e-9
    assert value == pytest.approx(one.between(second, first))


def test_consensus_is_the_mean_similarity_to_the_others() -> None:
    # a b against a c: one of two words; a b against itself: all. The duplicate counts as another response.
    assert similarity("words").to_the_others(["a b", "a b", "a c"]) == pytest.approx([0.75, 0.75, 0.5])
    with pytest.raises(DataError, match=r"responses=1: a consensus needs at least two"):
        similarity("words").to_the_others(["a b"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"thus \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("3 + 4 = 7\n#### 7", "7"),
        ("The answer is **$4.50**.", "4.5"),
        ("Answer: Paris", "paris"),
        ("first 3, then -2.0", "-2"),
        ("the answer is 3. No: the answer is 5", "5"),
        ("nothing", None),
        ("", None),
    ],
)
def test_final_answers(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


def test_mixed_rewards_are_scaled_within_prompts() -> None:
    # Centred: ±1 and ±3, standard deviation √5; ±10 and ±30, the same in tens.
    first = [Rewards("a", [5.0, 3.0]), Rewards("b", [0.0, 6.0])]
    second = [Rewards("a", [0.0, 20.0]), Rewards("b", [7.0, 67.0])]
    rows = mixed_rewards([first, second], [0.75, 0.25])
    assert rows[0].rewards == pytest.approx([(0.75 * 1 - 0.25 * 1) / 5**0.5, (-0.75 * 1 + 0.25 * 1) / 5**0.5])
    assert rows[1].rewards == pytest.approx([-3 / 5**0.5, 3 / 5**0.5])
    constant = mixed_rewards([first, [Rewards("a", [2.0, 2.0]), Rewards("b", [2.0, 2.0])]], [0.5, 0.5])
    assert constant[0].rewards == pytest.approx([0.5 / 5**0.5, -0.5 / 5**0.5])
    with pytest.raises(DataError, match="different responses"):
        mixed_rewards([first, second[::-1]], [0.5, 0.5])
