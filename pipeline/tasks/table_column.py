"""A column of a table of predictions: typed in Parquet, text in CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["string", "strings", "double", "boolean", "integer"]
CellValue = str | list[str] | float | bool | int | None


@dataclass(frozen=True)
class TableColumn:
    """A column of a table of predictions.

    Attributes:
        name: as the table has it.
        type: of its values; `strings` are several in one cell.
        format: how a number is written in CSV, such as `.6f`.
    """

    name: str
    type: ColumnType
    format: str = ""

    def text(self, value: CellValue) -> str:
        """Return a value as CSV has it: empty for None, strings joined with |."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        return "|".join(value) if isinstance(value, list) else format(value, self.format)
