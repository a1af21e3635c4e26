"""Text and columns from outside: what is not asked for is not read, what is broken is named with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mt.data.answers import load_demonstrations, load_preferences
from mt.data.files import read_rows
from mt.data.prompts import load_prompts
from mt.data.settings import FieldsConfig
from mt.errors import DataError
from mt.evaluation.files import read_records
from mt.runtime.text import broken_text, whole

FIELDS = FieldsConfig(prompt="prompt", messages=None, id=None, section=None)
HALF = "\ud83d"
NOT_UTF8 = pa.array([b"fine", b"\xff\xfe"]).view(pa.string())
ODD_COLUMNS = {
    "far": pa.array([0, 2**62], pa.timestamp("us")),
    "early": pa.array([0, -(2**62)], pa.timestamp("us")),
    "zone": pa.array([0, 1], pa.timestamp("us", tz="Nowhere/Atlantis")),
    "broken": NOT_UTF8,
}


def odd_table(folder: Path, **columns: Any) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"prompt": ["why", "what"], **ODD_COLUMNS, **columns}), path)
    return path


def test_columns_that_nobody_asked_for_are_not_read(tmp_path: Path) -> None:
    path = odd_table(tmp_path, output=["x", "y"])
    assert [
        prompt.messages[0]["content"] for prompt in load_prompts(read_rows(path, "auto", ["prompt"]), FIELDS).prompts
    ] == [
        "why",
        "what",
    ]
    assert read_records(path, ["prompt", "output"]) == [
        {"prompt": "why", "output": "x"},
        {"prompt": "what", "output": "y"},
    ]


@pytest.mark.parametrize("name", ODD_COLUMNS)
@pytest.mark.parametrize(
    "read", [lambda path, name: list(read_rows(path, "auto", [name])), lambda path, name: read_records(path)]
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, name: str, read: Callable[..., Any]) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": ["why", "what"], name: ODD_COLUMNS[name]}), path)
    with pytest.raises(DataError, match=rf"rows\.parquet, row [12], {name}: cannot be read \(.*Correct the row"):
        read(path, name)


def test_a_field_that_is_not_there_is_said_beside_all_that_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 1: has no field 'question', only 'broken', .*'prompt'"):
        load_prompts(
            read_rows(odd_table(tmp_path), "auto", ["question"]), FIELDS.model_copy(update={"prompt": "question"})
        )


BROKEN = [
    ({"prompt": "why", "response": f"half {HALF}"}, load_demonstrations, "response"),
    ({"prompt": f"half {HALF}", "response": "x"}, load_demonstrations, "prompt"),
    ({"prompt": "why", "chosen": f"half {HALF}", "rejected": "x"}, load_preferences, "chosen"),
    ({"prompt": "why", "chosen": "x", "rejected": f"half {HALF}"}, load_preferences, "rejected"),
    ({"prompt": "why", "messages": [{"role": "assistant", "content": HALF}]}, load_demonstrations, "messages"),
]


@pytest.mark.parametrize(("row", "load", "field"), BROKEN)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_half_a_character_is_refused_with_file_line_and_field(
    tmp_path: Path, row: dict[str, Any], load: Callable[..., Any], field: str, ending: str
) -> None:
    good = {"prompt": "a", "response": "b", "chosen": "b", "rejected": "c"}
    path = tmp_path / f"rows.{ending}"
    rows = [good, row]
    path.write_text(json.dumps(rows) if ending == "json" else "".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(DataError, match=rf"rows\.{ending}, (line|row) 2, {field}.*half a surrogate pair") as told:
        load(read_rows(path))
    assert "\n" not in str(told.value) and str(told.value).encode()


def test_half_a_character_in_a_baseline_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(
        json.dumps([{"instruction": "a", "output": "b"}, {"instruction": "c", "output": HALF, "note": "x"}])
    )
    with pytest.raises(DataError, match=r"outputs\.json row 1 \(from 0\)=.*half a surrogate pair"):
        read_records(path, ["instruction", "output"])
    assert len(read_records(path, ["instruction", "note"])) == 2


@pytest.mark.parametrize("text", ["with\0nul", "\x07\x1b[31m\x85\u2028\ufeff\U0010ffff", "long " * 400_000])
def test_characters_of_any_kind_and_length_come_through(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": text}))
    (tmp_path / "p.csv").write_text(f'prompt,x\n"{text}",1\n', newline="")
    pq.write_table(pa.table({"prompt": [text]}), tmp_path / "p.parquet")
    for name in ("p.jsonl", "p.csv", "p.parquet"):
        (prompt,) = load_prompts(read_rows(tmp_path / name), FIELDS).prompts
        assert prompt.messages[0]["content"] == text
        assert read_records(tmp_path / name)[0]["prompt"] == text


@pytest.mark.parametrize("line", ['{"prompt": ' + "9" * 6000 + "}", '{"prompt": ' + "[" * 90_000 + "]" * 90_000 + "}"])
@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_json_beyond_what_can_be_read_is_named_with_its_line(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(line)
    with pytest.raises(DataError, match=r"not valid JSON \((a number of more than 4300 digits|nested too deeply)"):
        list(read_rows(tmp_path / name))
    with pytest.raises(DataError, match=r"begins in line 1: (Exceeds the limit|maximum recursion)"):
        read_records(tmp_path / name)


def test_halves_are_found_anywhere_and_replaced() -> None:
    assert broken_text({"a": [{"b": ["whole", {HALF: 1}]}]}) == HALF
    assert broken_text([datetime(1, 1, 1), None, "\U0001f600", {"a": 1}]) is None
    assert whole(f"a{HALF}b") == "a\ufffdb"
    assert whole("\ud83d\ude00") == "\U0001f600"
