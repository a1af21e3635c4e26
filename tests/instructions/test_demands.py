"""Every check says yes to an answer that is written for its demand, and no to one that is not."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt.instructions.demands import FAMILIES, DemandKind
from mt.instructions.gold import gold, read_prompt
from mt.instructions.kinds import KINDS
from mt.instructions.text import Text
from mt.instructions.topics import TOPIC_OF, TOPICS
from mt.types import Response
from tests.instructions.writer import write

AGREEING = [(a, b) for a, b in combinations(KINDS, 2) if a.agrees_with(b)]
TRIPLES = [(a, b, c) for a, b in AGREEING for c in KINDS if c.name > b.name and c.agrees_with(a) and c.agrees_with(b)]


def asked(kinds: tuple[DemandKind, ...], seed: int) -> tuple[str, str, dict[str, dict[str, str]]]:
    """A prompt with demands of these kinds, its topic, and the demands by name."""
    rng = random.Random(seed)
    question = rng.choice(sorted(TOPIC_OF))
    prompt = " ".join([question, *(kind.draw(rng) for kind in kinds)])
    found = read_prompt(prompt)
    return prompt, TOPIC_OF[question], {demand.kind.name: demand.values for demand in found.demands}


def worth(prompt: str, answer: str, finished: bool = True) -> float:
    return gold([{"role": "user", "content": prompt}], Response(answer, 0, finished), flawed=0.25)


def test_there_are_enough_kinds_of_every_family() -> None:
    assert len(KINDS) >= 30
    assert sum(not kind.held_out for kind in KINDS) >= 20
    for family in FAMILIES:
        assert sum(kind.family == family and kind.held_out for kind in KINDS) >= 2


@given(st.sampled_from([*((kind,) for kind in KINDS), *AGREEING, *TRIPLES]), st.integers(0, 10**6))
@settings(max_examples=1500, deadline=None)
def test_demands_that_share_a_prompt_can_all_be_met(kinds: tuple[DemandKind, ...], seed: int) -> None:
    prompt, topic, demands = asked(kinds, seed)
    assert set(demands) == {kind.name for kind in kinds}, "a prompt says neither less nor more than was drawn"
    answer = write(TOPICS[topic], demands)
    assert worth(prompt, answer) == 1.0, answer


@pytest.mark.parametrize("kinds", AGREEING, ids=lambda pair: "+".join(kind.name for kind in pair))
def test_every_pair_of_demands_that_agree_can_be_met(kinds: tuple[DemandKind, DemandKind]) -> None:
    for seed in range(3):
        prompt, topic, demands = asked(kinds, seed)
        answer = write(TOPICS[topic], demands)
        assert worth(prompt, answer) == 1.0, (prompt, answer)


WRONG = {
    "at_most": "word " * 21,
    "at_least": "four words are few",
    "between": "two words",
    "exactly": "these are five short words",
    "one_sentence": "One here. Two there.",
    "sentences": "Only one here.",
    "paragraphs": "Only one\nof them.",
    "include": "Nothing of the kind here.",
    "avoid": "the and is it you of to in",
    "start": "Now then.",
    "end": "today always life again everyone too forever indeed not",
    "twice": "today friend world quiet better small people good",
    "both": "neither of them",
    "lower": "One capital.",
    "upper": "Small letters",
    "one_capital": "TWO OF them",
    "digits": "1. two\n2. three",
    "capitalised": "One Small letter",
    "no_letter": "bpvkmyg",
    "no_commas": "one, two",
    "exclamation": "Well! No.",
    "question": "Why? So.",
    "no_full_stops": "Stop.",
    "quotes": 'He said "yes"',
    "colon": "none; none",
    "brackets": "none () none",
    "semicolon": "none: none",
    "bullets": "- one",
    "numbered": "1. one\n3. three\n2. two",
    "title": "[a title] and the rest",
    "bold": "none *here* ** **",
    "note": "one\nNote: two\nthree",
    "as_json": '{"answer": "yes", "more": 1}',
    "divider": "***\none *** two\n***",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_answer_that_fails_a_demand_is_reported(kind: DemandKind) -> None:
    for seed in range(10):
        _, _, demands = asked((kind,), seed)
        assert not kind.meets(Text(WRONG[kind.name].strip()), **demands[kind.name])


@given(st.text(max_size=300), st.sampled_from(KINDS), st.integers(0, 100))
@settings(max_examples=500, deadline=None)
def test_any_text_is_worth_something_between_nothing_and_one(text: str, kind: DemandKind, seed: int) -> None:
    prompt, _, _ = asked((kind,), seed)
    assert 0.0 <= worth(prompt, text) <= 1.0


PROMPT = "Describe bees. Use at most 20 words. Do not use any commas."


@pytest.mark.parametrize(
    ("answer", "finished", "expected"),
    [
        ("Bees make honey and live in a hive.", True, 1.0),
        ("Bees make honey, and live in a hive.", True, 0.5),
        ("Bees make honey and live in a", False, 0.25),
        ("Cars are fast and loud.", True, 0.25),
        ("Bees.", True, 0.25),
        ("bee bee bee bee bee bee bee bee bee", True, 0.25),
        ("Bees fly high. Bees fly high. Bees fly high.", True, 0.25),
        ("", True, 0.0),
        (" \n ... !", True, 0.0),
    ],
)
def test_degenerate_answers_are_worth_little(answer: str, finished: bool, expected: float) -> None:
    assert worth(PROMPT, answer, finished) == expected


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        ("- one two\n- three", 3, 1),
        ("1. one\n2) two", 2, 1),
        ("It's well-known. Is it? Yes!", 5, 3),
        ('He said "no." Then 3.5 left...', 7, 2),
        ("**Bold** words", 2, 1),
    ],
)
def test_words_and_sentences_by_hand(text: str, words: int, sentences: int) -> None:
    assert (len(Text(text).words), Text(text).sentences) == (words, sentences)
