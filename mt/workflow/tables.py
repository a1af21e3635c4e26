"""Tables of typed rows as Parquet files that any other tool opens."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mt.errors import DataError

Row = TypeVar("Row")

_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}
_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])


def schema(row_type: type) -> pa.Schema:
    """Return the Parquet schema of a row type."""
    hints = typing.get_type_hints(row_type)
    return pa.schema([(field.name, _arrow(hints[field.name])) for field in dataclasses.fields(row_type)])


def write(path: Path, rows: Sequence[Row], row_type: type[Row]) -> None:
    """Write rows to one Parquet file."""
    table = pa.Table.from_pylist([_plain(row) for row in rows], schema=schema(row_type))
    pq.write_table(table, path, compression="zstd")


def read(path: Path, row_type: type[Row]) -> list[Row]:
    """Read rows back; raises DataError when a column is missing."""
    names = [field.name for field in dataclasses.fields(row_type)]  # type: ignore[arg-type]
    table = pq.read_table(path, memory_map=True)
    absent = sorted(set(names) - set(table.column_names))
    if absent:
        raise DataError(f"{path}: columns {', '.join(absent)} are missing; a {row_type.__name__} table has {names}")
    build = _builder(row_type)
    return [build(row) for row in table.select(names).to_pylist()]


def _arrow(hint: Any) -> pa.DataType:
    hint = _without_none(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if typing.get_origin(hint) is list:
        return pa.list_(_arrow(typing.get_args(hint)[0]))
    if typing.get_origin(hint) is dict:
        return _MESSAGE
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(schema(hint)))  # type: ignore[arg-type]
    raise TypeError(f"no Parquet type for {hint}")


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(option for option in typing.get_args(hint) if option is not type(None))
    return hint


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _builder(row_type: type[Row]) -> Any:
    """Return a function from a plain dict to the row type, nested rows included."""
    hints = typing.get_type_hints(row_type)
    nested = {}
    for field in dataclasses.fields(row_type):  # type: ignore[arg-type]
        hint = _without_none(hints[field.name])
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is list else hint
        if dataclasses.is_dataclass(inner):
            nested[field.name] = (_builder(inner), inner is not hint)  # type: ignore[arg-type]

    def build(values: dict[str, Any]) -> Row:
        for name, (make, many) in nested.items():
            values[name] = [make(item) for item in values[name]] if many else make(values[name])
        return row_type(**values)

    return build
