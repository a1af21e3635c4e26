from __future__ import annotations

import gzip
import json

import pytest

from mt.errors import DataError
from mt.evaluation.files import number, read_records, rows_of_columns

ROWS = [{"a": "ü\u2028x", "b": 1}, {"a": "", "b": None}]
AS_JSON = json.dumps(ROWS, ensure_ascii=False)
AS_LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("f.json", AS_JSON.encode()),
        ("f.jsonl", AS_LINES.encode()),
        ("f.json", AS_LINES.encode()),  # lines where a list is expected
        ("f.jsonl", b"\xef\xbb\xbf" + AS_JSON.encode()),
        ("f.json.gz", gzip.compress(AS_JSON.encode())),
        ("f.json", gzip.compress(AS_LINES.encode())),
        ("f.json", "\n".join(json.dumps(row, indent=4) for row in ROWS).encode()),  # objects one after another
    ],
)
def test_json_in_every_dress(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    assert read_records(path) == ROWS


def test_tables(tmp_path):
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "f.csv").write_text('a,b\n"x, y",1\nz,\n')
    assert read_records(tmp_path / "f.csv") == [{"a": "x, y", "b": "1"}, {"a": "z", "b": ""}]
    (tmp_path / "f.csv").write_bytes(b'\xef\xbb\xbf,a, b ,\r\n0,"x\r\ny",1,\r\n')
    assert read_records(tmp_path / "f.csv") == [{"a": "x\r\ny", "b": "1"}]  # pandas' index has no name
    (tmp_path / "f.tsv").write_text("a\tb\n1\t2\n")
    assert read_records(tmp_path / "f.tsv") == [{"a": "1", "b": "2"}]
    (tmp_path / "F.CSV").write_text("a,b\n1,2\n")
    assert read_records(tmp_path / "F.CSV") == [{"a": "1", "b": "2"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "f.parquet")
    assert read_records(tmp_path / "f.parquet") == ROWS


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("f.json", b"", "empty"),
        ("f.json", b" \n", "empty"),
        ("f.json", b"[]", "list is empty"),
        ("f.json", b"3", "a single int"),
        ("f.json", b'[{"a": 1}, ', "neither JSON nor JSON lines; the row that begins in line 1"),
        ("f.jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("f.json", b"\xff\xfe\x00", "not a UTF-8"),
        ("f.json.gz", gzip.compress(b"[1]")[:-6], "damaged gzip"),
        ("f.csv", b"a,b\n", "without rows"),
        ("f.csv", b"a,b, a\n1,2,3\n", "two columns are named a"),
        ("f.csv", b"a,b\n1,2\n1\n", "row 1 (from 0): not 2 columns"),
        ("f.csv", b"a,b\n1,2,3\n", "row 0 (from 0): not 2 columns"),
        ("f.parquet", b"PAR1", "not a readable Parquet"),
    ],
)
def test_damaged_files_are_said(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_records(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_without_rows(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"a": pyarrow.array([], pyarrow.int64())}), tmp_path / "f.parquet")
    with pytest.raises(DataError, match="without rows"):
        read_records(tmp_path / "f.parquet")


@pytest.mark.parametrize("empty", [None, "", " nan", "NULL", "None", float("nan")])
def test_cells_that_hold_nothing(empty):
    assert number(empty, "f") is None


@pytest.mark.parametrize("wrong", ["x", True, [1], {}, b"1", 10**400])
def test_cells_that_hold_no_number(wrong):
    assert (number("-1e3", "f"), number(2, "f")) == (-1000.0, 2.0)
    with pytest.raises(DataError, match=r"f row 3: a=.*not a number.*Allowed: a number, or empty") as caught:
        number(wrong, "f row 3: a")
    assert len(str(caught.value)) < 400


def test_an_absent_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_records(tmp_path / "absent.json")


@pytest.mark.parametrize("columns", [{"a": [1, 2], "b": ["x", "y"]}, {"a": {"0": 1, "1": 2}, "b": ["x", "y"]}])
def test_columns_become_rows(columns):
    rows = rows_of_columns(columns | {"model": "m"}, "f")
    assert rows == [{"a": 1, "b": "x", "model": "m"}, {"a": 2, "b": "y", "model": "m"}]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match=r"f: the columns differ in length \(a 2, b 1\)"):
        rows_of_columns({"a": [1, 2], "b": [1]}, "f")
