"""Rows of anybody's Parquet files: only the columns that are asked for are read, and what is wrong is named by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mt.errors import DataError, first_line

_NO_PYTHON_VALUE = (ValueError, ArithmeticError, LookupError, TypeError, ImportError)


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns; raises DataError where it is no Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def parquet_rows(path: Path, columns: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield a file's rows, of the named columns only; raises DataError naming the first row that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [name for name in column_names(path) if columns is None or name in columns]
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=names):
                yield from _values(batch, path, number) if names else ({} for _ in range(batch.num_rows))
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _values(batch: Any, path: Path, before: int) -> list[dict[str, Any]]:
    """Return rows as Python values, which dates beyond 9999, unknown time zones and broken UTF-8 have not."""
    try:
        values: list[dict[str, Any]] = batch.to_pylist()
        return values
    except _NO_PYTHON_VALUE as error:
        for number in range(batch.num_rows):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                try:
                    column.slice(number, 1).to_pylist()
                except _NO_PYTHON_VALUE as failure:
                    reason = f"{type(failure).__name__}: {first_line(failure)}"
                    place = f"{path}, row {before + number + 1}, {name}"
                    raise DataError(f"{place}: cannot be read ({reason}). Correct the row.") from failure
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a readable Parquet file ({first_line(error)}).")
