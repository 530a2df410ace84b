"""Rows of Parquet files."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.parquet_rows import ParquetLayout, parquet_layout, read_parquet_rows
from pipeline.errors import DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    columns = {"x": range(200), "y": [str(x) for x in range(200)], "z": [None] * 200}
    parquet.write_table(pa.table(columns), path, row_group_size=80)
    return path


def test_the_layout_is_that_of_the_file(table: Path) -> None:
    assert parquet_layout(table) == ParquetLayout(["x", "y", "z"], [80, 80, 40])


def test_the_rows_of_row_groups_are_read_in_their_order(table: Path) -> None:
    rows = list(read_parquet_rows(table, ["y", "x"], range(1, 3)))
    assert rows == [(str(x), x) for x in range(80, 200)]


def test_a_file_that_is_not_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no Parquet" * 10)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read: Parquet magic bytes"):
        parquet_layout(tmp_path / "a.parquet")


def test_a_damaged_row_group_is_an_error(table: Path) -> None:
    content = table.read_bytes()
    third = len(content) // 3
    table.write_bytes(content[:4] + b"\xff" * third + content[4 + third :])
    with pytest.raises(DataError, match=r"table\.parquet cannot be read: "):
        list(read_parquet_rows(table, ["x", "y"], range(3)))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table([[1], [2]], names=["x", "x"]), "has several columns with the name x."),
        (pa.table({"x": []}), "has no rows."),
    ],
)
def test_a_table_without_rows_or_names_is_an_error(
    table: pa.Table, reason: str, tmp_path: Path
) -> None:
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError) as caught:
        parquet_layout(tmp_path / "a.parquet")
    assert str(caught.value).removeprefix("data.path: ") == f"{tmp_path}/a.parquet {reason}"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet is not a regular file\.$"):
        parquet_layout(tmp_path / "a.parquet")
