"""Reading anybody's judgment files: JSON, JSON lines, CSV and Parquet, compressed or not; and their numbers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mt.errors import DataError, describe
from mt.runtime.parquet import parquet_rows
from mt.runtime.text import broken_text, parse_json

EMPTY = ("", "nan", "none", "null")
"""How tables write that a cell holds nothing, in small letters."""

ROUNDING = 1e-6
"""So far a mean or a probability may lie outside of its range, as others' programs write it."""

_SPACE = re.compile(r"[ \t\r\n]*")
_GZIP_MAGIC = b"\x1f\x8b"


def read_records(path: Path, columns: Collection[str] | None = None) -> list[Any]:
    """Return a file's rows: the items of a JSON list, each line of JSON lines, each row of a CSV or Parquet table.

    A lone JSON object is one row; objects one after another, indented or not, are rows too. CSV values stay texts, and
    a column without a name (an index that pandas wrote) is left out. gzip is recognised by content. Where `columns` are
    named, the others may hold anything: a Parquet table's are not read.

    Raises:
        DataError: the file is absent, empty or not in its format, or a text in it is broken.
    """
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix == ".parquet":
        rows: list[Any] = list(parquet_rows(path, columns))
        if not rows:
            raise DataError(f"{path}: a table without rows. Judgments are needed.")
    elif not (text := _text(path)).strip():
        raise DataError(f"{path}: the file is empty. Judgments are needed.")
    elif suffix in (".csv", ".tsv"):
        rows = _csv_rows(path, text, "\t" if suffix == ".tsv" else ",")
    else:
        rows = _json_rows(path, text)
    for position, row in enumerate(rows):
        asked = row if columns is None or not isinstance(row, dict) else [row.get(name) for name in columns]
        if (broken := broken_text(asked)) is not None:
            problem = "half a surrogate pair, which is no text"
            where = f"{path} row {position} (from 0)"
            raise DataError(describe(where, ascii(broken), problem, fix="Correct the row"))
    return rows


def rows_of_columns(record: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    """Return the rows of an object that holds a list (or an object by row number) for each column.

    Single values, such as a model's name beside the columns, are repeated in every row.

    Raises:
        DataError: the columns differ in length.
    """
    columns = {name: _column(value) for name, value in record.items()}
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) != 1:
        shown = ", ".join(f"{name} {n}" for name, n in list(lengths.items())[:6])
        raise DataError(f"{source}: the columns differ in length ({shown}). Columns of one length are needed.")
    n = next(iter(lengths.values()))
    return [
        {name: record[name] if values is None else values[at] for name, values in columns.items()} for at in range(n)
    ]


def _column(value: Any) -> list[Any] | None:
    if isinstance(value, Mapping):  # as pandas writes a column
        return list(value.values())
    return value if isinstance(value, list) else None


def number(value: object, where: str, allowed: str = "a number, or empty") -> float | None:
    """Return the number in a cell, which may be a text; None where the cell is empty, null or NaN.

    Raises:
        DataError: the cell, which `where` names, holds anything else.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in EMPTY):
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        shown = repr(value) if isinstance(value, str) else value
        raise DataError(describe(where, shown, "not a number", allowed=allowed))
    return None if math.isnan(found) else found


def within(value: float, low: float, high: float) -> float | None:
    """Return a value, at an end of its range where rounding alone has put it outside; None where it is further out."""
    return min(max(value, low), high) if low - ROUNDING <= value <= high + ROUNDING else None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: a damaged gzip file ({error}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text (byte {error.start}). Save it as UTF-8.") from None


def _json_rows(path: Path, text: str) -> list[Any]:
    try:
        value = parse_json(text)
    except ValueError:
        return _json_lines(path, text)
    if not isinstance(value, list | dict):
        raise DataError(f"{path}: holds a single {type(value).__name__}. A list of objects is needed.")
    if value == []:
        raise DataError(f"{path}: the list is empty. Judgments are needed.")
    return value if isinstance(value, list) else [value]


def _json_lines(path: Path, text: str) -> list[Any]:
    rows, decoder, at = [], json.JSONDecoder(), 0
    while (at := _SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, at) + 1
            why = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise DataError(
                f"{path}: neither JSON nor JSON lines; the row that begins in line {line}: {why}."
            ) from None
        rows.append(row)
    return rows


def _csv_rows(path: Path, text: str, delimiter: str) -> list[Any]:
    csv.field_size_limit(2**31 - 1)  # the module refuses fields of more than 128 KiB otherwise
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}.") from None
    if not rows:
        raise DataError(f"{path}: a header without rows. Judgments are needed.")
    if twice := [name for name, n in Counter(reader.fieldnames).items() if name and n > 1]:
        raise DataError(f"{path}: two columns are named {twice[0]}. Rename or remove one.")
    for position, row in enumerate(rows):
        if None in row or None in row.values():  # csv's marks of cells too many and too few
            raise DataError(f"{path} row {position} (from 0): not {len(reader.fieldnames)} columns as in the header.")
    return [{name: value for name, value in row.items() if name} for row in rows]
