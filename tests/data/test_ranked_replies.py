"""Ranked replies from OpenAssistant's trees and flat messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt.data.files import read_rows
from mt.data.ranked_replies import COLUMNS, load_ranked_replies
from mt.errors import DataError
from mt.types import Samples
from tests.data import open_assistant


def loaded(path: Path, language: str = "en") -> list[Samples]:
    return list(load_ranked_replies(read_rows(path, columns=COLUMNS), language))


@pytest.mark.parametrize("shape", ["trees", "messages", "parquet"])
def test_first_turns_with_their_ranked_replies_best_first(tmp_path: Path, shape: str) -> None:
    path = open_assistant.write(tmp_path, shape)
    rows = {row.prompt_id: row for row in loaded(path)}
    assert {name: [one.text for one in row.responses] for name, row in rows.items()} == {
        "s": ["Earth has one moon, the Moon.", "One moon.", "No idea."],
        "a": ["2 + 2 = 4.", "5"],
    }
    assert rows["s"].messages == [{"role": "user", "content": "How many moons does Earth have?"}]
    assert [row.prompt_id for row in loaded(path, "de")] == ["d"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "How?"}, "message_id=null: neither a tree nor a message of OpenAssistant's"),
        ({"prompt": {"message_id": "a", "text": "How?", "role": "prompter", "replies": []}}, "lang=null: no text"),
        ({"prompt": {**open_assistant.message("a", "How?"), "replies": "none"}}, "prompt.replies=none: no list"),
    ],
)
def test_what_is_no_conversation_is_named_by_its_line(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    (path := tmp_path / "x.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=rf"x\.jsonl, line 1, {said}"):
        loaded(path)


def test_a_rank_is_a_number(tmp_path: Path) -> None:
    replies = [open_assistant.message("r", "So.", rank="best")]
    tree = {"prompt": open_assistant.message("a", "How?", "prompter", replies=replies)}
    (path := tmp_path / "x.jsonl").write_text(json.dumps(tree))
    with pytest.raises(DataError, match=r"line 1, rank=best: no number\. Allowed: a whole number"):
        loaded(path)
