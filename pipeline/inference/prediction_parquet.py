"""Writes tables of predictions as Parquet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from pipeline.tasks.table_column import CellValue, ColumnType, TableColumn

_GROUP_ROWS = 8192  # that are in memory

_TYPES: Mapping[ColumnType, Any] = {
    "string": pa.string(),
    "strings": pa.list_(pa.string()),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
}


def write_parquet(
    file: IO[bytes] | pa.NativeFile,
    columns: Sequence[TableColumn],
    rows: Iterable[Sequence[CellValue]],
    metadata: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Write a table, some of its rows at a time.

    Args:
        file: an open file.
        columns: of the table.
        rows: the values of each row.
        metadata: returns that of the file by name, after the last row.
    """
    schema = pa.schema([pa.field(column.name, _TYPES[column.type]) for column in columns])
    remaining = iter(rows)
    with ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(itertools.islice(remaining, _GROUP_ROWS)):
            values = [
                pa.array(map(_valid, cells), field.type)
                for cells, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.table(values, schema=schema))
        writer.add_key_value_metadata(dict(metadata()))


def _valid(value: CellValue) -> CellValue:
    """Return a value with the bytes escaped that are no UTF-8, as the names of files may have."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
