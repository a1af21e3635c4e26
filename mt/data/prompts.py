"""Rows to prompts: strict about what a prompt is, counting what is left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mt.data.files import FileRow
from mt.data.settings import FieldsConfig
from mt.errors import DataError, describe, nearest
from mt.runtime.text import half_character, parse_json
from mt.types import Demonstration, Messages, Pair, Prompt

ROLES = ("system", "user", "assistant")
_PRINTED = re.compile(r"\s*\[\{'(role|content)': ")
"""How a list of messages begins as Python prints it."""
_TEXT_OR_CHAT = 'text, or a list of {"role", "content"}'


@dataclass(frozen=True)
class Loaded:
    """Prompts as they were read, in the order of the files, and counts of rows and of what was dropped."""

    prompts: list[Prompt]
    counts: dict[str, int]
    places: dict[str, str]
    """Where each prompt stands ("prompts.jsonl, line 3"), by its id."""


def load_prompts(rows: Iterable[FileRow], fields: FieldsConfig) -> Loaded:
    """Turn rows into distinct prompts; empty ones and repetitions are dropped and counted.

    Raises DataError naming place and field of a row that is no prompt, and of an id that two prompts share.
    """
    found: dict[str, Prompt] = {}
    places: dict[str, str] = {}
    counts = {"rows": 0, "empty": 0, "duplicates": 0}
    for row in rows:
        counts["rows"] += 1
        messages = _messages(row, fields)
        if not messages:
            counts["empty"] += 1
            continue
        content = content_hash(messages)
        if content in found:
            counts["duplicates"] += 1
            continue
        prompt = Prompt(_id(row, fields.id) or content[:16], messages, _section(row, fields.section))
        first = places.setdefault(prompt.prompt_id, row.place)
        if first != row.place:
            problem, fix = (
                f"another prompt has this id already ({first})",
                "Make the ids unique, or set data.fields.id=null",
            )
            raise refusal(row, str(fields.id), prompt.prompt_id, problem, "one prompt per id", fix)
        found[content] = prompt
    return Loaded(list(found.values()), counts, places)


def content_hash(messages: Messages) -> str:
    """Return a hash (hex) of a conversation; white space around a turn does not count."""
    turns = [[message["role"], message["content"].strip()] for message in messages]
    return hashlib.sha256(json.dumps(turns, ensure_ascii=False).encode()).hexdigest()


def user_text(prompt: Prompt | Demonstration | Pair) -> str:
    """Return a prompt's user turns as one text."""
    return "\n".join(message["content"] for message in prompt.messages if message["role"] == "user")


def _messages(row: FileRow, fields: FieldsConfig) -> Messages:
    """Return a row's conversation: its chat, else its plain prompt; empty where both are."""
    names = [name for name in (fields.messages, fields.prompt) if name is not None]
    if not any(name in row.values for name in names):
        given = sorted(map(str, (*row.values, *row.others)))
        hint = next((text for name in names if (text := nearest(name, given))), "")
        problem = f"has no field {' or '.join(map(repr, names))}, only {', '.join(map(repr, given)) or 'none'}"
        raise DataError(f"{row.place}: {problem}. Set data.fields.prompt=NAME or data.fields.messages=NAME.{hint}")
    for name in names:
        value = row.values.get(name)
        if isinstance(value, str) and name == fields.messages:  # a chat that is written as JSON, as CSV has to
            try:
                value = parse_json(value) if value.strip() else None
            except ValueError as error:
                raise refusal(row, name, value, f"not valid JSON ({error})", "a JSON list of messages") from error
        if messages := conversation(value, row, name):
            return messages
    return []


def conversation(value: Any, row: FileRow, name: str) -> Messages:
    """Return a field's text or chat as messages that end with the user's turn; empty where it has none."""
    value = unwritten(value, row, name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, str):
        return [{"role": "user", "content": whole_text(value, row, name)}]
    if not isinstance(value, list):
        raise refusal(row, name, value, "neither text nor a chat", _TEXT_OR_CHAT)
    messages = [message(item, row, f"{name}[{index}]") for index, item in enumerate(value)]
    if not messages or not messages[-1]["content"].strip():
        return []
    roles = [message["role"] for message in messages]
    if roles[-1] != "user":
        fix = "Leave the answer out, or set data.fields.messages=null"
        raise refusal(row, name, roles[-1], "the last turn is not the user's", "a chat that ends with 'user'", fix)
    if "system" in roles[1:]:
        problem = "a system message after the first turn"
        raise refusal(row, name, "system", problem, "at most one, and it comes first")
    return messages


def unwritten(value: Any, row: FileRow, name: str) -> Any:
    """Return a chat that is written as a JSON text, as CSV has to, as the list that it is; other values as they are.

    Raises DataError for a chat as Python prints it, which would be read as what somebody said.
    """
    if not isinstance(value, str):
        return value
    if _PRINTED.match(value):
        fix = "Write the file as JSONL or Parquet"
        raise refusal(row, name, value, "a chat as Python prints it", "a text, or a chat as JSON", fix)
    if value.lstrip().startswith("["):
        with suppress(ValueError):
            found = parse_json(value)
            chat = all(isinstance(one, dict) and {"role", "content"} <= set(one) for one in found)
            if chat and any(one["role"] in ROLES for one in found):  # another role beside it is refused by its name
                return found
    return value


def message(item: Any, row: FileRow, name: str) -> dict[str, str]:
    """Return a message with its role and its content only; raises DataError where it is none."""
    if not isinstance(item, dict) or not {"role", "content"} <= set(item):
        raise refusal(row, name, item, "not a message", 'an object with "role" and "content"')
    if item["role"] not in ROLES:
        raise refusal(row, f"{name}.role", item["role"], "unknown role", ", ".join(ROLES))
    if not isinstance(item["content"], str):
        raise refusal(row, f"{name}.content", item["content"], "not text", "text")
    return {"role": item["role"], "content": whole_text(item["content"], row, f"{name}.content")}


def whole_text(value: str, row: FileRow, name: str) -> str:
    """Return a field's text; raises DataError where it has half a character, which no other file can hold."""
    if (at := half_character(value)) is not None:
        problem = f"half a surrogate pair at character {at}, which is no text"
        raise refusal(row, name, ascii(value), problem, "complete characters")
    return value


def _id(row: FileRow, name: str | None) -> str | None:
    value = row.values.get(name) if name is not None else None
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise refusal(row, str(name), value, "no name of a prompt", "text or a whole number")
    return whole_text(str(value), row, str(name))


def _section(row: FileRow, name: str | None) -> str | None:
    value = row.values.get(name) if name is not None else None
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise refusal(row, str(name), value, "no label", "text")
    return whole_text(value, row, str(name))


def refusal(row: FileRow, name: str, value: Any, problem: str, allowed: str, fix: str = "Correct the row") -> DataError:
    """Return the error that names a row's place, its field and value, what is allowed and how to fix it."""
    return DataError(describe(f"{row.place}, {name}", value, problem, allowed=allowed, fix=fix))
