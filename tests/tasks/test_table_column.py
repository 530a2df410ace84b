"""Columns of tables of predictions."""

from __future__ import annotations

import pytest

from pipeline.tasks.table_column import CellValue, TableColumn


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (TableColumn("probability_1", "double", ".6f"), 1 / 3, "0.333333"),
        (TableColumn("value", "double", ".6g"), 1234567.0, "1.23457e+06"),
        (TableColumn("unknown", "boolean"), True, "true"),
        (TableColumn("classes", "strings"), ["sea", "sunset"], "sea|sunset"),
        (TableColumn("classes", "strings"), [], ""),
        (TableColumn("line", "integer"), 12, "12"),
        (TableColumn("error", "string"), None, ""),
    ],
)
def test_a_value_is_written_in_csv_as_its_column_says(
    column: TableColumn, value: CellValue, text: str
) -> None:
    assert column.text(value) == text
