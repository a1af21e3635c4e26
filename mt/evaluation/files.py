"""Reading anybody's judgment files: JSON, JSON lines, CSV and Parquet, compressed or not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

from mt.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"


def read_records(path: Path) -> list[Any]:
    """Return a file's rows: the items of a JSON list, each line of JSON lines, each row of a CSV or Parquet table.

    A lone JSON object is one row. CSV values stay texts. gzip is recognised by content.

    Raises:
        DataError: the file is absent, empty or not in its format.
    """
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".parquet":
        return _parquet_rows(path)
    text = _text(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty. Judgments are needed.")
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, text, "\t" if suffix == ".tsv" else ",")
    return _json_rows(path, text)


def _text(path: Path) -> str:
    data = _bytes(path)
    try:
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: a damaged gzip file ({error}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text (byte {error.start}). Save it as UTF-8.") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _json_rows(path: Path, text: str) -> list[Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return _json_lines(path, text)
    if not isinstance(value, list | dict):
        raise DataError(f"{path}: holds a single {type(value).__name__}. A list of objects is needed.")
    if value == []:
        raise DataError(f"{path}: the list is empty. Judgments are needed.")
    return value if isinstance(value, list) else [value]


def _json_lines(path: Path, text: str) -> list[Any]:
    rows = []
    # Not str.splitlines: it also cuts at Unicode separators, which JSON allows inside texts.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: neither JSON nor JSON lines; line {number}, column {error.colno}: {error.msg}."
            ) from None
    return rows


def _csv_rows(path: Path, text: str, delimiter: str) -> list[Any]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}.") from None
    if not rows:
        raise DataError(f"{path}: a header without rows. Judgments are needed.")
    ragged = [number for number, row in enumerate(rows) if "" in row or None in row.values()]
    if ragged:
        columns = len(reader.fieldnames or [])
        raise DataError(f"{path} row {ragged[0]} (from 0): not {columns} columns as in the header.")
    return rows


def _parquet_rows(path: Path) -> list[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_table(path).to_pylist())
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}).") from None
