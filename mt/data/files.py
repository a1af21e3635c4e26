"""Rows of data files: JSONL, JSON, CSV and Parquet, each row with the place that an error would name."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mt.errors import DataError, describe, no_file
from mt.runtime.parquet import column_names, parquet_rows
from mt.runtime.text import parse_json

ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""Format by file ending; all but Parquet may be followed by `.gz`."""
_READABLE = "jsonl, json, csv (each also .gz), parquet"
_FIELD_LIMIT = 2**31 - 1  # the csv module refuses fields of more than 128 KiB otherwise


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file: where it stands ("prompts.jsonl, line 3") and its fields."""

    place: str
    values: dict[str, Any]
    others: tuple[str, ...] = ()
    """Columns that were not asked for, and not read."""


def read_rows(path: Path, data_format: str = "auto", columns: Collection[str] | None = None) -> Iterator[FileRow]:
    """Yield the rows of a data file; raises DataError naming the file and line of what cannot be read.

    Of Parquet files the named columns alone are read.
    """
    if not path.is_file():
        raise DataError(describe("data.path", path, no_file(path), fix="Check the path"))
    kind = format_of(path) if data_format == "auto" else data_format
    if kind == "parquet":
        others = tuple(name for name in column_names(path) if columns is not None and name not in columns)
        for number, values in enumerate(parquet_rows(path, columns), start=1):
            yield FileRow(f"{path}, row {number}", values, others)
    elif kind == "csv":
        yield from _csv(path)
    else:
        yield from _json(path)


def format_of(path: Path) -> str:
    """Return the format that a file's ending stands for."""
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    found = ENDINGS.get(ending.lower())
    if found is None or (found == "parquet" and path.suffix == ".gz"):
        fix = "Rename the file, or set data.format"
        raise DataError(describe("data.path", path, "its ending names no format", allowed=_READABLE, fix=fix))
    return found


def is_data_file(name: str) -> bool:
    """Say whether a file's ending is one that `read_rows` knows."""
    try:
        return bool(format_of(Path(name)))
    except DataError:
        return False


def _json(path: Path) -> Iterator[FileRow]:
    """Yield the objects of a JSONL file, or of a JSON file that is one array of objects."""
    lines = _lines(path)
    number, first = next(((n, line) for n, line in lines if line.strip()), (0, ""))
    if first.lstrip().startswith("["):
        text = "".join([first, *(line for _, line in lines)])
        items = _parsed(text, path, number)
        yield from (_object(item, f"{path}, row {n}") for n, item in enumerate(items, start=1))
        return
    if first:
        yield _object(_parsed(first, path, number), f"{path}, line {number}")
    for number, line in lines:
        if line.strip():
            yield _object(_parsed(line, path, number), f"{path}, line {number}")


def _parsed(text: str, path: Path, number: int) -> Any:
    try:
        return parse_json(text.rstrip())
    except ValueError as error:
        line = number + error.lineno - 1 if isinstance(error, json.JSONDecodeError) else number
        reason = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise _refusal(path, line, f"not valid JSON ({reason})", "one object per line, such as {…}") from error


def _object(item: Any, place: str) -> FileRow:
    if not isinstance(item, dict):
        text = json.dumps(item, ensure_ascii=False)
        shown = text if len(text) <= 60 else text[:57] + "…"
        raise DataError(f"{place}: holds {shown}. Allowed: one object per line, such as {{…}}.")
    return FileRow(place, item)


def _csv(path: Path) -> Iterator[FileRow]:
    """Yield the rows of a CSV file with a header; a field may span lines, its first line is named."""
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    header: list[str] | None = None
    start, fix = 1, "Quote fields that hold commas, quotes or line breaks"
    try:
        for cells in reader:
            if header is None:
                header, repeated = cells, sorted({name for name in cells if cells.count(name) > 1})
                if repeated or not any(header):
                    problem = f"repeated or empty column names {repeated}"
                    raise _refusal(path, 1, problem, "a header that names each column once")
            elif cells:
                if len(cells) != len(header):
                    problem = f"{len(cells)} fields, and the header names {len(header)}"
                    raise _refusal(path, start, problem, f"{len(header)} fields", fix)
                yield FileRow(f"{path}, line {start}", dict(zip(header, cells, strict=True)))
            start = reader.line_num + 1
    except csv.Error as error:
        raise _refusal(path, start, f"not valid CSV ({error})", "RFC 4180", fix) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a text file, decoded line by line so that an error names its line."""
    number = 0
    with _opened(path) as file:
        try:
            for number, raw in enumerate(file, start=1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            fix = "Save the file as UTF-8"
            raise _refusal(path, number, f"not UTF-8 (byte {error.start})", "UTF-8", fix) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            fix = "Download or compress it again"
            raise _refusal(path, number + 1, f"damaged gzip file ({error})", "", fix) from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a text file for reading bytes, decompressing where its ending is .gz."""
    with path.open("rb") as raw:
        if path.suffix == ".gz":
            with gzip.open(raw) as unpacked:
                yield io.BufferedReader(unpacked)
        else:
            yield raw


def _refusal(path: Path, line: int, problem: str, allowed: str, fix: str = "Correct the line") -> DataError:
    text = f"{path}, line {line}: {problem}."
    return DataError(f"{text}{f' Allowed: {allowed}.' if allowed else ''} {fix}.")
