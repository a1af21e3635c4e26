"""What a row has to be to be a prompt, what is counted, and what two prompts may not share."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mt.data.files import FileRow
from mt.data.prompts import load_prompts
from mt.data.settings import FieldsConfig
from mt.errors import ConfigError, DataError

FIELDS = FieldsConfig(prompt="prompt", messages="messages", id="id", section="section")
USER = {"role": "user", "content": "Hi"}
BOT = {"role": "assistant", "content": "Hello"}


def load(*rows: dict[str, Any], fields: FieldsConfig = FIELDS) -> Any:
    return load_prompts([FileRow(f"p.jsonl, line {n}", row) for n, row in enumerate(rows, start=1)], fields)


def test_empty_prompts_and_repetitions_are_dropped_and_counted() -> None:
    loaded = load(
        {"prompt": "one"},
        {"prompt": " \n\t\u3000"},
        {"prompt": None},
        {"prompt": "one \n"},
        {"messages": [{"role": "user", "content": "one"}]},
        {"messages": []},
        {"messages": [{"role": "user", "content": " "}]},
        {"prompt": "two"},
    )
    assert [p.messages[-1]["content"] for p in loaded.prompts] == ["one", "two"]
    assert loaded.counts == {"rows": 8, "empty": 4, "duplicates": 2}


def test_text_is_kept_as_it_is() -> None:
    text = "  def f():\n\treturn '\u00e9' # e\u0301 is another spelling 🤖\n"
    assert load({"prompt": text}).prompts[0].messages == [{"role": "user", "content": text}]


def test_messages_keep_role_and_content_only_and_go_before_the_plain_prompt() -> None:
    chat = [{**USER, "name": "x", "weight": 3}, BOT, {**USER, "content": "And now?"}]
    prompt = load({"prompt": "other", "messages": chat}).prompts[0]
    assert prompt.messages == [USER, BOT, {"role": "user", "content": "And now?"}]


def test_a_prompt_may_be_a_chat_itself() -> None:
    assert load({"prompt": [USER]}).prompts[0].messages == [USER]


def test_ids_are_given_or_hashes_of_the_content() -> None:
    given, number, hashed, empty = load(
        {"prompt": "a", "id": "x"}, {"prompt": "b", "id": 7}, {"prompt": "c"}, {"prompt": "d", "id": ""}
    ).prompts
    assert (given.prompt_id, number.prompt_id) == ("x", "7")
    assert re.fullmatch("[0-9a-f]{16}", hashed.prompt_id)
    assert empty.prompt_id != hashed.prompt_id
    assert load({"prompt": "z"}, {"prompt": "c"}).prompts[1].prompt_id == hashed.prompt_id


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": 5}, r"p\.jsonl, line 1, prompt=5: neither text nor a chat\. Allowed: text, or a list"),
        ({"messages": {"a": 1}}, r"line 1, messages=.*neither text nor a chat"),
        ({"messages": "[{]"}, r"line 1, messages=\[\{\]: not valid JSON"),
        ({"messages": ["Hi"]}, r"line 1, messages\[0\]=Hi: not a message"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\]=.*not a message\. Allowed: .*\"content\""),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, r"messages\[1\]\.role=tool: unknown role"),
        ({"messages": [{"role": "user", "content": [1]}]}, r"messages\[0\]\.content=\[1\]: not text"),
        (
            {"messages": [USER, BOT]},
            r"messages=assistant: the last turn is not the user's.*fields\.messages=null",
        ),
        ({"messages": [USER, {"role": "system", "content": "x"}, USER]}, r"system message after the first turn"),
        ({"prompt": "half \ud83d"}, r"line 1, prompt=.*half a surrogate pair at character 5"),
        ({"prompt": "x", "id": [1]}, r"line 1, id=\[1\]: no name of a prompt"),
        ({"prompt": "x", "id": True}, r"line 1, id=true: no name"),
        ({"prompt": "x", "section": 3}, r"line 1, section=3: no label"),
        ({"Prompt": "x"}, r"line 1: has no field 'messages' or 'prompt', only 'Prompt'\..*Did you mean 'Prompt'\?"),
    ],
)
def test_what_is_no_prompt_is_named_with_line_and_field(row: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as error:
        load(row)
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_an_id_that_two_prompts_share_names_both_lines() -> None:
    with pytest.raises(DataError, match=r"line 3, id=x: another prompt has this id already \(p\.jsonl, line 1\)"):
        load({"prompt": "a", "id": "x"}, {"prompt": "b", "id": "y"}, {"prompt": "c", "id": "x"})
    assert load({"prompt": "a", "id": "x"}, {"prompt": "a", "id": "x"}).counts["duplicates"] == 1


def test_some_field_has_to_be_read() -> None:
    with pytest.raises(ValueError, match=r"data\.fields\.prompt=null: nothing to read"):
        FieldsConfig(prompt=None, messages=None, id=None, section=None)
    assert issubclass(ConfigError, ValueError)
