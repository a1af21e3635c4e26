"""OpenAssistant's conversations: prompts with several replies that people have ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from mt.data.files import FileRow
from mt.data.prompts import refusal, whole_text
from mt.types import Response, Samples

COLUMNS = ("message_id", "parent_id", "text", "role", "lang", "rank", "deleted", "prompt")
"""What is read of its files: of flat messages all but `prompt`, of trees `prompt` alone."""
_SHAPES = "a tree (prompt, with its replies), or a flat message (message_id, parent_id, role, text, rank)"


def load_ranked_replies(rows: Iterable[FileRow], language: str) -> Iterator[Samples]:
    """Yield the first turns of a language with at least two ranked replies, the best reply first.

    Reads both shapes in which OpenAssistant is published (oasst1, oasst2): message trees, and flat messages. Replies
    that are deleted, empty or without a rank are left out, and of two with one rank the second. Raises DataError naming
    place and field of a malformed row.
    """
    for prompt, replies, row in _first_turns(rows):
        if _of(prompt, row, "lang") != language or _of(prompt, row, "role") != "prompter" or prompt.get("deleted"):
            continue
        ranked: dict[float, str] = {}
        for reply in replies:
            text, rank = whole_text(_of(reply, row, "text"), row, "text"), _rank(reply, row)
            if rank is not None and text.strip() and not reply.get("deleted") and reply.get("role") == "assistant":
                ranked.setdefault(rank, text)
        if len(ranked) > 1:
            asked = [{"role": "user", "content": whole_text(_of(prompt, row, "text"), row, "text")}]
            answers = [Response(ranked[rank], 0) for rank in sorted(ranked)]
            yield Samples(_of(prompt, row, "message_id"), asked, None, answers)


def _first_turns(rows: Iterable[FileRow]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], FileRow]]:
    """Yield the first message of every conversation with its replies; flat messages are all read before."""
    roots: list[FileRow] = []
    replies: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        tree = row.values.get("prompt")
        if isinstance(tree, dict):
            given = tree.get("replies") or []
            if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
                raise refusal(row, "prompt.replies", given, "no list of messages", "a list of objects")
            yield tree, given, row
        elif "message_id" not in row.values:
            raise refusal(row, "message_id", None, "neither a tree nor a message of OpenAssistant's", _SHAPES)
        elif (parent := row.values.get("parent_id")) is None:
            roots.append(row)
        else:
            replies[parent].append(row.values)
    for row in roots:
        yield row.values, replies[_of(row.values, row, "message_id")], row


def _of(message: dict[str, Any], row: FileRow, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise refusal(row, name, value, "no text", "text")
    return value


def _rank(reply: dict[str, Any], row: FileRow) -> float | None:
    """Return a reply's rank, 0 being the best; pandas writes a missing one as NaN."""
    rank = reply.get("rank")
    if rank is None or rank != rank:
        return None
    if isinstance(rank, bool) or not isinstance(rank, int | float):
        raise refusal(row, "rank", rank, "no number", "a whole number, 0 being the best, or null")
    return float(rank)
