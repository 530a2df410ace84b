"""Finds the columns of a table: those that a recipe names, or those with usual names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.data.table_reader import Table
from pipeline.errors import DataError, escape_unprintable
from pipeline.suggestions import did_you_mean

# The usual names of the column of images; the later ones count if there is none of the former.
IMAGE_COLUMNS = (
    (
        *("image", "images", "image_path", "img_path", "img", "image_name", "imagename", "path"),
        *("filename", "file_name", "filenames", "file", "filepath", "file_path", "filepaths"),
    ),
    ("image_id", "imageid", "id", "name"),
)
_SHOWN = 10
_MAX_FLOAT32 = 3.4e38


def find_column(table: Table, name: str | None, usual: Sequence[Sequence[str]], role: str) -> str:
    """Return the column with a role: the one that the recipe names, or one with a usual name.

    Raises:
        DataError: if there is none, or several.
    """
    if name is not None:
        return named_column(table, name, f"data.columns.{role}")
    found = usual_columns(list(table.columns), usual)
    if len(found) > 1:
        raise DataError(
            f"data.columns: {' and '.join(found)} in {table.path} may be the {role} column. "
            f"Set data.columns.{role}."
        )
    if found:
        return found[0]
    raise DataError(
        f"data.columns: no column of {table.path} is known to be the {role} column. Set "
        f"data.columns.{role}, or add a first line with the names of the columns. Received: "
        f"{few(list(table.columns))}."
    )


def usual_columns(columns: Sequence[str], usual: Sequence[Sequence[str]]) -> list[str]:
    """Return the columns with one of the first usual names that there are."""
    for names in usual:
        found = [column for column in columns if column.strip().lower().replace(" ", "_") in names]
        if found:
            return found
    return []


def named_column(table: Table, name: str, key: str) -> str:
    """Return the name of a column that a key of the recipe names.

    Raises:
        DataError: if there is none.
    """
    if name not in table.columns:
        raise DataError(
            f"{key}: {table.path} has no column {name}. Expected one of: "
            f"{few(list(table.columns))}.{did_you_mean(name, table.columns)}"
        )
    return name


def column_values(table: Table, column: str) -> list[str]:
    """Return the values of a column.

    Raises:
        DataError: if a row has none, or a list.
    """
    values = table.columns[column]
    empty = [row for row, value in enumerate(values) if value in (None, "")]
    if empty:
        raise DataError(
            f"data.path: {table.path} has no {column} in {few([table.where(i) for i in empty])}."
        )
    lists = next((row for row, value in enumerate(values) if isinstance(value, list)), None)
    if lists is not None:
        raise DataError(
            f"data.path: the {column} in {table.where(lists)} of {table.path} is a list. Expected "
            "one value."
        )
    return values


def number_values(table: Table, column: str, key: str) -> list[float]:
    """Return the values of a column of numbers that are finite in float32.

    Raises:
        DataError: if a row has something else.
    """
    values = []
    for row, value in enumerate(table.columns[column]):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not abs(number) <= _MAX_FLOAT32:
            received = "nothing" if value in (None, "") else escape_unprintable(str(value))
            raise DataError(
                f"{key}: expected a number for {column} in {table.where(row)} of {table.path}. "
                f"Received {received}."
            )
        values.append(number)
    return values


def few(items: Sequence[str]) -> str:
    """Return the first ten items, and how many more there are."""
    shown = ", ".join(escape_unprintable(item) for item in items[:_SHOWN])
    more = len(items) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
