"""Demonstrations and preference pairs, in the shapes in which data sets publish them."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mt.data.answers import load_demonstrations, load_preferences
from mt.data.files import FileRow, read_rows
from mt.errors import DataError

ASKED = [{"role": "user", "content": "why"}]
SAID = [*ASKED, {"role": "assistant", "content": "because"}]
DENIED = [*ASKED, {"role": "assistant", "content": "no"}]


def rows(*values: dict[str, Any]) -> list[FileRow]:
    return [FileRow(f"file, line {number}", value) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "why", "response": "because"},
        {"prompt": ASKED, "response": "because"},
        {"messages": SAID},
        {"prompt": ASKED, "completion": SAID[1:]},
    ],
)
def test_a_demonstration_is_a_prompt_with_its_answer(value: dict[str, Any]) -> None:
    (one,) = load_demonstrations(rows(value))
    assert (one.messages, one.response.text) == (ASKED, "because")


def test_a_prompt_has_one_demonstration() -> None:
    found = load_demonstrations(rows({"prompt": "a", "response": "x"}, {"prompt": "a", "response": "y"}))
    assert [one.response.text for one in found] == ["x"]


@pytest.mark.parametrize(
    "value", [{"prompt": "why", "chosen": "because", "rejected": "no"}, {"chosen": SAID, "rejected": DENIED}]
)
def test_a_preference_is_two_answers_to_one_prompt(value: dict[str, Any]) -> None:
    (pair,) = load_preferences(rows(value))
    assert (pair.messages, pair.chosen.text, pair.rejected.text) == (ASKED, "because", "no")


def test_an_explicit_prompt_may_stand_beside_answers_that_are_chats() -> None:
    ask, say = {"role": "user", "content": "why"}, {"role": "assistant", "content": "so"}
    other = {"role": "assistant", "content": "no"}
    first, second, third = load_preferences(
        rows(
            {"prompt": [ask], "chosen": [say], "rejected": [other]},
            {"prompt": "why", "chosen": [say], "rejected": [other]},
            {"prompt": [ask], "chosen": [say, ask, say], "rejected": [say, ask, other]},
        )
    )
    for pair, asked in ((first, [ask]), (second, [ask]), (third, [ask, say, ask])):
        assert (pair.messages, pair.chosen.text, pair.rejected.text) == (asked, "so", "no")


def test_a_chat_that_is_written_as_text_is_the_chat_that_it_is(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": 'why, "so"?'}]
    chosen, rejected = ([{"role": "assistant", "content": text}] for text in ("yes", "no"))
    fields = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    printed = "line 2, chosen=.*: a chat as Python prints it.*as JSONL"
    for write, problem in ((json.dumps, None), (partial(json.dumps, indent=1), None), (str, printed)):
        with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(fields))
            writer.writeheader()
            writer.writerow({name: write(value) for name, value in fields.items()})
        if problem is None:
            (pair,) = load_preferences(read_rows(tmp_path / "pairs.csv"))
            assert (pair.messages, pair.chosen.text, pair.rejected.text) == (prompt, "yes", "no")
        else:
            with pytest.raises(DataError, match=problem):
                load_preferences(read_rows(tmp_path / "pairs.csv"))
    with pytest.raises(DataError, match=r"line 1, prompt\[0\].role=developer: unknown role"):
        load_preferences(rows({"prompt": json.dumps([{**prompt[0], "role": "developer"}, *prompt]), "chosen": "x"}))
    answer = '[{"role": "admin", "name": "x"}]'
    (pair,) = load_preferences([FileRow("line 1", {"prompt": "an entry?", "chosen": answer, "rejected": "[{"})])
    assert (pair.chosen.text, pair.rejected.text) == (answer, "[{"), "what is no chat is what was said"


def test_equal_answers_are_no_preference() -> None:
    assert not load_preferences(rows({"prompt": "why", "chosen": "same", "rejected": "same"}))


def test_pairs_of_one_prompt_have_names_of_their_own() -> None:
    again = {"prompt": "why", "chosen": "a", "rejected": "b"}
    assert len({pair.prompt_id for pair in load_preferences(rows(again, again))}) == 2


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"prompt": "why"}, r"line 1, response=null: there is none, only prompt.*Rename its field to response"),
        ({"prompt": "why", "response": None}, r"response=null: no answer.*chat that ends with the assistant's turn"),
        ({"response": "because"}, "line 1, prompt=null: there is none"),
        ({"messages": ASKED * 2}, r"messages\.role=user: the last turn is not the assistant's"),
        ({"messages": [{"role": "user"}, SAID[1]]}, r"messages\[0\].*not a message"),
        ({"messages": [SAID[1], SAID[1]]}, "line 1, prompt=null: there is none"),
    ],
)
def test_a_malformed_demonstration_is_named(value: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        load_demonstrations(rows(value))


def test_chosen_and_rejected_must_answer_the_same_prompt() -> None:
    other = [{"role": "user", "content": "when"}, DENIED[1]]
    with pytest.raises(DataError, match="line 1, rejected=when: its prompt is not that of 'chosen'"):
        load_preferences(rows({"chosen": SAID, "rejected": other}))
