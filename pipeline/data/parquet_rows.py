"""Reads the rows of Parquet files, some of their row groups at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyarrow.parquet import ParquetFile

from pipeline.data.address_files import opened_file
from pipeline.data.remote_path import AnyPath
from pipeline.data.table_reader import check_names
from pipeline.errors import DataError

_BATCH_ROWS = 64
_BUFFER_BYTES = 2**20  # of each column, which is otherwise read whole


@dataclass(frozen=True)
class ParquetLayout:
    """What is in a Parquet file.

    Attributes:
        columns: their names.
        group_rows: the number of rows of each row group.
    """

    columns: list[str]
    group_rows: list[int]


def parquet_layout(path: AnyPath) -> ParquetLayout:
    """Return what is in a Parquet file.

    Args:
        path: the file.

    Raises:
        DataError: if it cannot be read.
    """
    with _opened(path) as file:
        metadata = file.metadata
        groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        layout = ParquetLayout(file.schema_arrow.names, groups)
    check_names(layout.columns, path)
    if not sum(groups):
        raise DataError(f"{path} has no rows.")
    return layout


def read_parquet_rows(
    path: AnyPath, columns: Sequence[str], groups: range
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of columns, row by row, with no more of the rows in memory than needed.

    Args:
        path: the file.
        columns: whose values are wanted, in this order.
        groups: the row groups.

    Raises:
        DataError: if the file cannot be read.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, list(groups), list(columns)):
            values = [batch.column(name).to_pylist() for name in columns]
            yield from zip(*values, strict=True)


@contextlib.contextmanager
def _opened(path: AnyPath) -> Iterator[ParquetFile]:
    with opened_file(path) as file:
        yield ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
