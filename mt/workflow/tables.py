"""Tables of typed rows as Parquet files that any other tool opens."""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mt.errors import DataError, describe

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
    """Read rows back; raises DataError when a column, or a field of a nested row, is missing."""
    wanted = schema(row_type)
    table = pq.read_table(path, memory_map=True)
    absent = [name for field in wanted for name in _absent(field.name, field.type, _type_of(table.schema, field.name))]
    if absent:
        problem = f"columns {', '.join(absent)} are missing"
        fix = "An older version wrote it; compute it again"
        raise DataError(describe(f"{row_type.__name__} table", path, problem, allowed=", ".join(wanted.names), fix=fix))
    hints = typing.get_type_hints(row_type)
    columns = [_values(table.column(name).combine_chunks(), hints[name]) for name in wanted.names]
    return [row_type(*values) for values in zip(*columns, strict=True)]


def _type_of(fields: pa.Schema | pa.StructType, name: str) -> pa.DataType | None:
    index = fields.get_field_index(name)
    return None if index < 0 else fields.field(index).type


def _absent(name: str, wanted: pa.DataType, found: pa.DataType | None) -> Iterator[str]:
    """Yield the dotted names of what a column of type `found` lacks."""
    if found is None:
        yield name
    elif pa.types.is_list(wanted) and pa.types.is_list(found):
        yield from _absent(name, wanted.value_type, found.value_type)
    elif pa.types.is_struct(wanted):
        inner = found if pa.types.is_struct(found) else pa.struct([])
        for field in wanted:
            yield from _absent(f"{name}.{field.name}", field.type, _type_of(inner, field.name))


def _values(column: pa.Array, hint: Any) -> list[Any]:
    """Return a column as Python values; lists of numbers are cut from one array, ten times faster than one by one."""
    hint = _without_none(hint)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        inner = [_values(column.field(field.name), hints[field.name]) for field in dataclasses.fields(hint)]
        rows = [hint(*values) for values in zip(*inner, strict=True)]  # type: ignore[operator]
        return [row if there else None for row, there in zip(rows, column.is_valid().to_pylist(), strict=True)]
    if typing.get_origin(hint) is not list:
        return column.to_pylist()
    item = typing.get_args(hint)[0]
    ends = column.offsets.to_pylist()
    held = column.values.slice(ends[0], ends[-1] - ends[0])
    spans = [(start - ends[0], end - ends[0]) for start, end in itertools.pairwise(ends)]
    if item in (int, float) and held.null_count == 0:
        numbers = held.to_numpy()
        lists = [numbers[start:end].tolist() for start, end in spans]
    else:
        values = _values(held, item)
        lists = [values[start:end] for start, end in spans]
    return [one if there else None for one, there in zip(lists, column.is_valid().to_pylist(), strict=True)]


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
