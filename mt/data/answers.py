"""Rows with answers: demonstrations, and preference pairs, in the shapes in which data sets publish them."""

from __future__ import annotations

from collections.abc import Iterable

from mt.data.files import FileRow
from mt.data.prompts import content_hash, conversation, message, refusal, unwritten, whole_text
from mt.errors import DataError
from mt.types import Demonstration, Messages, Pair, Response

_CHAT = "a chat that ends with the assistant's turn"


DEMONSTRATION_FIELDS = ("prompt", "response", "messages", "completion")
PREFERENCE_FIELDS = ("prompt", "chosen", "rejected")


def load_demonstrations(rows: Iterable[FileRow], places: dict[str, str] | None = None) -> list[Demonstration]:
    """Return the first demonstration of each prompt: `prompt` and `response`, or `messages` with the answer last.

    TRL calls a response `completion`. Answers' lengths in tokens are unknown here and 0. `places` learns where each row
    stands, by its id. Raises DataError naming place and field of a malformed row.
    """
    places = {} if places is None else places
    found: dict[str, Demonstration] = {}
    for row in rows:
        given = (name for name in DEMONSTRATION_FIELDS[1:] if name in row.values)
        asked, answer = _answered(row, next(given, "response"))
        name = content_hash(asked)[:16]
        places.setdefault(name, row.place)
        found.setdefault(name, Demonstration(name, asked, None, Response(answer, 0)))
    return list(found.values())


def load_preferences(rows: Iterable[FileRow], places: dict[str, str] | None = None) -> list[Pair]:
    """Return the pairs of `chosen` and `rejected`: texts beside a `prompt`, or chats with the answer last.

    Chats hold the prompt themselves, or stand beside a `prompt` and begin with the assistant's turn (TRL's explicit
    prompts).

    Equal answers give no pair. `places` learns where each row stands, by its id. Raises DataError naming place and
    field of a malformed row.
    """
    pairs, places = [], {} if places is None else places
    for number, row in enumerate(rows):
        asked, chosen = _answered(row, "chosen")
        other, rejected = _answered(row, "rejected")
        if other != asked:
            raise refusal(row, "rejected", other[-1]["content"], "its prompt is not that of 'chosen'", "the same chat")
        if chosen != rejected:
            answers, name = (Response(chosen, 0), Response(rejected, 0)), f"{content_hash(asked)[:16]}-{number}"
            places[name] = row.place
            pairs.append(Pair(name, asked, None, *answers, source="offline"))
    return pairs


def _answered(row: FileRow, name: str) -> tuple[Messages, str]:
    """Return the prompt and the answer of a field: a text or a chat beside the row's prompt, or a chat of both."""
    value = unwritten(row.values.get(name), row, name)
    if isinstance(value, str) and value.strip():
        return _prompt(row), whole_text(value, row, name)
    if name not in row.values:
        raise _missing(row, name, f"a text, or {_CHAT}")
    if not isinstance(value, list) or not value:
        raise refusal(row, name, value, "no answer", f"a text, or {_CHAT}")
    *before, last = (message(item, row, f"{name}[{index}]") for index, item in enumerate(value))
    if last["role"] != "assistant":
        raise refusal(row, f"{name}.role", last["role"], "the last turn is not the assistant's", _CHAT)
    if not before or before[0]["role"] == "assistant":  # the chat goes on where the row's prompt ends
        before = [*_prompt(row), *before]
    asked = conversation(before, row, name)
    if not asked:
        raise refusal(row, name, "", "there is no prompt before the answer", _CHAT)
    return asked, last["content"]


def _prompt(row: FileRow) -> Messages:
    if "prompt" not in row.values:
        raise _missing(row, "prompt", "a text, or a list of messages")
    asked = conversation(row.values["prompt"], row, "prompt")
    if not asked:
        raise refusal(row, "prompt", row.values.get("prompt"), "there is none", "a text, or a list of messages")
    return asked


def _missing(row: FileRow, name: str, allowed: str) -> DataError:
    given = ", ".join(sorted(map(str, (*row.values, *row.others))))
    return refusal(row, name, None, f"there is none, only {given}", allowed, f"Rename its field to {name}")
