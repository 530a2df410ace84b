"""The column of a table that says which split each row is in."""

from __future__ import annotations

from pipeline.data.split_names import split_of
from pipeline.data.table_columns import named_column
from pipeline.data.table_reader import Table
from pipeline.errors import DataError, escape_unprintable

_USUAL = ("split", "subset", "partition", "set", "data_set", "dataset")


def read_splits(table: Table, name: str | None) -> tuple[list[str | None], list[str]]:
    """Return the split of each row, and what looked like the column but is not.

    Args:
        table: the table.
        name: of the column; None for one with a usual name.

    Returns:
        The split of each row, None where it is drawn, and phrases.

    Raises:
        DataError: if the named column is missing, or has something else.
    """
    none: list[str | None] = [None] * len(table.lines)
    usual = [column for column in table.columns if column.lower() in _USUAL]
    if name is None and len(usual) != 1:
        return none, []
    column = usual[0] if name is None else named_column(table, name, "data.columns.split")
    splits: list[str | None] = []
    for row, value in enumerate(table.columns[column]):
        split = split_of(value) if isinstance(value, str) else None
        if split is None and value not in (None, ""):
            if name is None:
                return none, [f"column {column} (its values are not splits)"]
            raise DataError(
                f"data.columns.split: expected train, val or test in {table.where(row)} of "
                f"{table.path}. Received {escape_unprintable(str(value))}."
            )
        splits.append(split)
    return splits, []
