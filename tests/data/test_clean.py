"""Decontamination and the held-out part."""

from __future__ import annotations

import random

import pytest

from mt.data.clean import decontaminate, normalised, split
from mt.types import Prompt

WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()  # noqa: SIM905


def prompt(text: str, name: str = "") -> Prompt:
    return Prompt(name or text, [{"role": "user", "content": text}])


def test_equal_prompts_are_found_whatever_their_case_spaces_punctuation_and_unicode_form() -> None:
    evaluation = [prompt("Explain the  CAFÉ rule, please!"), prompt("🎉🎉")]
    given = [
        prompt("explain the cafe\u0301 rule please"),
        prompt(" 🎉🎉 "),
        prompt("🎉"),
        prompt("Explain the café rule"),
    ]
    kept, counts = decontaminate(given, evaluation, 13)
    assert kept == given[2:]
    assert counts == {"contaminated_equal": 2, "contaminated_overlapping": 0}


@pytest.mark.parametrize(("ngram", "left"), [(13, 1), (14, 2), (None, 2)])
def test_thirteen_words_in_a_row_are_an_overlap(ngram: int | None, left: int) -> None:
    evaluation = [prompt("Start. " + " ".join(WORDS[:13]) + " end.")]
    given = [prompt("Please: " + ", ".join(WORDS[:13]) + "?"), prompt(" ".join(WORDS[1:13]) + " other words")]
    kept, counts = decontaminate(given, evaluation, ngram)
    assert len(kept) == left
    assert counts["contaminated_overlapping"] == 2 - left


def test_only_what_the_user_said_is_compared() -> None:
    system = {"role": "system", "content": "You are helpful."}
    chat = Prompt("chat", [system, {"role": "user", "content": "Hi there"}])
    assert decontaminate([chat], [prompt("hi there")], 13)[0] == []
    assert decontaminate([chat], [prompt("You are helpful.")], 13)[0] == [chat]


def test_scripts_without_spaces_and_case_fold() -> None:
    assert normalised("STRASSE ﬁn") == normalised("straße fin")
    assert normalised("你好，世界！") == normalised("你好 世界")


@pytest.mark.parametrize(("held_out", "count"), [(0.1, 10), (0.25, 25), (7, 7), (0.001, 1), (1, 1)])
def test_the_split_is_disjoint_complete_and_of_the_asked_size(held_out: float, count: int) -> None:
    prompts = [prompt(f"question {i}") for i in range(100)]
    train, held = split(prompts, held_out)
    assert len(held) == count
    assert sorted(p.prompt_id for p in train + held) == sorted(p.prompt_id for p in prompts)
    assert [p for p in prompts if p in train] == train  # the given order stays


def test_content_alone_decides_who_is_held_out() -> None:
    prompts = [prompt(f"question {i}") for i in range(100)]
    shuffled = [prompt(p.messages[0]["content"], name=f"id-{i}") for i, p in enumerate(prompts)]
    random.Random(3).shuffle(shuffled)
    chosen = [{p.messages[0]["content"] for p in split(given, 0.2)[1]} for given in (prompts, shuffled)]
    assert chosen[0] == chosen[1]
