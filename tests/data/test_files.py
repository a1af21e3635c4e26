"""Rows of files: the formats are equivalent, and every damage is named with its line."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mt.data.files import format_of, is_data_file, read_rows
from mt.data.prompts import load_prompts
from mt.data.settings import FieldsConfig
from mt.errors import DataError

FIELDS = FieldsConfig(prompt="prompt", messages="messages", id="prompt_id", section="section")
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Ça va ? 你好 👩‍👩‍👧 \u202e مرحبا"},
    {"role": "assistant", "content": "Oui."},
    {"role": "user", "content": 'A "quoted", two-line\nquestion\u2028with separators\x0b?'},
]
ROWS = [
    {"prompt_id": "a", "prompt": "Why is the sky blue?\n\nExplain.", "messages": None, "section": "Chat"},
    {"prompt_id": "b", "prompt": None, "messages": CHAT, "section": None},
    {"prompt_id": "c", "prompt": "naïve café, “quotes” 🎉", "messages": None, "section": "Reasoning"},
]


def write(folder: Path, ending: str) -> Path:
    path = folder / f"prompts{ending}"
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    if ending.startswith((".jsonl", ".ndjson")):
        content = lines.encode()
    elif ending.startswith(".json"):
        content = json.dumps(ROWS, indent=1).encode()
    elif ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    else:
        plain = folder / "plain.csv"
        with plain.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(ROWS[0])
            for row in ROWS:
                chat = json.dumps(row["messages"]) if row["messages"] else ""
                writer.writerow([row["prompt_id"], row["prompt"], chat, row["section"]])
        content = plain.read_bytes()
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    return path


ALL = [".jsonl", ".jsonl.gz", ".ndjson", ".json", ".json.gz", ".csv", ".csv.gz", ".parquet"]


@pytest.mark.parametrize("ending", ALL)
def test_every_format_gives_the_same_prompts(tmp_path: Path, ending: str) -> None:
    loaded = load_prompts(read_rows(write(tmp_path, ending)), FIELDS)
    expected = [
        ("a", [{"role": "user", "content": ROWS[0]["prompt"]}], "Chat"),
        ("b", CHAT, None),
        ("c", [{"role": "user", "content": ROWS[2]["prompt"]}], "Reasoning"),
    ]
    assert [(p.prompt_id, p.messages, p.section) for p in loaded.prompts] == expected
    assert loaded.counts == {"rows": 3, "empty": 0, "duplicates": 0}


def test_a_given_format_wins_over_the_ending(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl").rename(tmp_path / "prompts.txt")
    assert len(list(read_rows(path, "jsonl"))) == 3
    with pytest.raises(DataError, match=r"prompts\.txt: its ending names no format\. Allowed: jsonl.*data\.format"):
        list(read_rows(path))


def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\n{"prompt": "x"}\r\n\n   \n{"prompt": "y"}')
    assert [row.place for row in read_rows(path)] == [f"{path}, line 2", f"{path}, line 5"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt": \n', r"p\.jsonl, line 2: not valid JSON .*Allowed: one object"),
        ("p.jsonl", b'{"prompt": "a"}\n\n["b"]\n', r'p\.jsonl, line 3: holds \["b"\].*one object'),
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt": "\xff"}\n', r"line 2: not UTF-8 .*Save the file as UTF-8"),
        ("p.jsonl", b'{"prompt": "a"} {"prompt": "b"}\n', r"line 1: not valid JSON \(Extra data\)"),
        ("p.jsonl", b'{"prompt": ' + b"[" * 100_000, r"line 1: not valid JSON"),
        ("p.json", b'[{"prompt": "a"},\n {"prompt": }]', r"p\.json, line 2: not valid JSON"),
        ("p.json", b'[{"prompt": "a"}, 5]', r"p\.json, row 2: holds 5"),
        ("p.csv", b"prompt,id\na,1\nb\n", r"p\.csv, line 3: 1 fields, and the header names 2"),
        ("p.csv", b'prompt,id\n"a\nb",1\nc,2,3\n', r"p\.csv, line 4: 3 fields"),
        ("p.csv", b'prompt,id\na,1\n"b,2\n', r"p\.csv, line 3: not valid CSV .*Quote fields"),
        ("p.csv", b"prompt,prompt\na,b\n", r"p\.csv, line 1: repeated or empty column names \['prompt'\]"),
        ("p.parquet", b"PAR1 and no more", r"p\.parquet: not a readable Parquet file"),
        ("p.jsonl.gz", b"plain text", r"p\.jsonl\.gz, line 1: damaged gzip file"),
    ],
)
def test_damage_is_named_with_file_and_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        list(read_rows(tmp_path / name))
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_a_cut_gzip_file_names_the_line_where_it_ends(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"prompt": str(hash(i))}) + "\n" for i in range(5000)).encode()
    path = tmp_path / "p.jsonl.gz"
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"line \d{2,}: damaged gzip file .*Download or compress it again"):
        list(read_rows(path))


def test_formats_by_ending() -> None:
    assert format_of(Path("a/b.JSONL")) == "jsonl"
    assert format_of(Path("b.csv.gz")) == "csv"
    assert not is_data_file("weights.pkl")
    assert not is_data_file("README.md")
    assert not is_data_file("x.parquet.gz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path=.*none\.jsonl: no such file"):
        list(read_rows(tmp_path / "none.jsonl"))
