"""Reads the labels of rows from the columns of a table: classes, sets of classes, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.data.table_columns import (
    column_values,
    few,
    find_column,
    named_column,
    number_values,
)
from pipeline.data.table_reader import Table
from pipeline.errors import DataError, escape_unprintable
from pipeline.tasks.task import LabelKind

if TYPE_CHECKING:
    import numpy as np

# The usual names of columns; the later ones count if there is none of the former.
_LABEL = (
    ("label", "labels", "class", "class_name", "classname", "category"),
    ("target", "species", "breed", "variety", "diagnosis", "dx", "class_id", "label_id"),
)
_NUMBER = (("label", "target", "value", "y"), ("age", "score", "rating", "price", "weight"))
_SEPARATORS = ("|", ";", ",")
_BINARY = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


@dataclass(frozen=True)
class LabelColumns:
    """Where a table has its labels, as the recipe says.

    Attributes:
        label: the column of the classes; None for one with a usual name.
        labels: the columns of 0 and 1, one for each class; None for those that there are.
        separator: between the classes in a value; None for the one that occurs.
    """

    label: str | None
    labels: tuple[str, ...] | None
    separator: str | None


class RowLabels(Protocol):
    """The labels of the rows of a table."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels; empty where these are numbers."""

    def describe(self, row: int) -> str:
        """Return the label of a row, for a message."""

    def is_same(self, row: int, other: int) -> bool:
        """Return whether two rows have the same label."""

    def array(self) -> np.ndarray:
        """Return the labels as a split has them."""


@dataclass(frozen=True)
class TableLabels:
    """The classes of the rows of a table.

    Attributes:
        class_names: in the order of the labels.
        members: the labels of each row, as indices of classes.
        is_set: whether a row may have any number of them, else it has one.
    """

    class_names: tuple[str, ...]
    members: Sequence[tuple[int, ...]]
    is_set: bool

    def describe(self, row: int) -> str:
        return ", ".join(self.class_names[index] for index in self.members[row]) or "none"

    def is_same(self, row: int, other: int) -> bool:
        return self.members[row] == self.members[other]

    def array(self) -> np.ndarray:
        """Return the labels as a split has them: int32 (n,) or, of sets, bool (n, classes)."""
        import numpy as np

        if not self.is_set:
            return np.array([index for (index,) in self.members], np.int32)
        labels = np.zeros((len(self.members), len(self.class_names)), bool)
        for row, indices in zip(labels, self.members, strict=True):
            row[list(indices)] = True
        return labels


@dataclass(frozen=True)
class TableNumbers:
    """The numbers that are the labels of the rows of a table.

    Attributes:
        values: of each row.
    """

    values: Sequence[float]

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def describe(self, row: int) -> str:
        return f"{self.values[row]:g}"

    def is_same(self, row: int, other: int) -> bool:
        return self.values[row] == self.values[other]

    def array(self) -> np.ndarray:
        """Return the labels as a split has them, float32 (n,)."""
        import numpy as np

        return np.array(self.values, np.float32)


def read_labels(table: Table, columns: LabelColumns, kind: LabelKind) -> RowLabels:
    """Return the labels of each row.

    Raises:
        DataError: if there is no such column, or a row has other labels.
    """
    return _READERS[kind](table, columns)


def _read_classes(table: Table, columns: LabelColumns) -> TableLabels:
    """Return the class of each row."""
    remedy = "Set data.task: multi_label if images have several labels"
    try:
        column = find_column(table, columns.label, _LABEL, "label")
    except DataError:
        binary = _binary_columns(table)
        if columns.label is None and len(binary) > 1:
            raise DataError(
                f"data.columns: {table.path} has a column of 0 and 1 for each of "
                f"{few(binary)}. {remedy}, or data.columns.label to the column of classes."
            ) from None
        raise
    values = table.columns[column]
    known = {value for value in values if isinstance(value, str)}
    for row, value in enumerate(values):
        if _is_several(value, known):
            raise DataError(
                f"data.columns: the {column} in {table.where(row)} of {table.path} is several: "
                f"{escape_unprintable(str(value))}. {remedy}. Otherwise, expected one class per "
                "image."
            )
    named = column_values(table, column)
    class_names = tuple(sorted(set(named)))
    label_of = {name: label for label, name in enumerate(class_names)}
    return TableLabels(class_names, [(label_of[name],) for name in named], is_set=False)


def _read_label_sets(table: Table, columns: LabelColumns) -> TableLabels:
    """Return the classes of each row: of columns of 0 and 1, or of one column with their names."""
    if columns.labels is None and columns.label is None:
        try:
            find_column(table, None, _LABEL, "label")
        except DataError:
            binary = _binary_columns(table)
            if not binary:
                raise
            return _from_binary(table, binary)
    if columns.labels is not None:
        named = [named_column(table, name, "data.columns.labels") for name in columns.labels]
        return _from_binary(table, named)
    column = find_column(table, columns.label, _LABEL, "label")
    values = table.columns[column]
    separator = columns.separator or _separator_in(values)
    sets = [_split(value, separator, table, row, column) for row, value in enumerate(values)]
    class_names = tuple(sorted({name for names in sets for name in names}))
    if not class_names:
        raise DataError(f"data.columns: no row of {table.path} has a label in {column}.")
    label_of = {name: label for label, name in enumerate(class_names)}
    members = [tuple(sorted({label_of[name] for name in names})) for names in sets]
    return TableLabels(class_names, members, is_set=True)


def _read_numbers(table: Table, columns: LabelColumns) -> TableNumbers:
    """Return the number of each row."""
    column = find_column(table, columns.label, _NUMBER, "label")
    return TableNumbers(number_values(table, column, "data.columns.label"))


def _from_binary(table: Table, names: Sequence[str]) -> TableLabels:
    rows: list[list[int]] = [[] for _ in table.lines]
    for label, name in enumerate(names):
        for row, value in enumerate(table.columns[name]):
            is_labeled = _BINARY.get(str(value).lower())
            if is_labeled is None:
                raise DataError(
                    f"data.columns.labels: expected 0 or 1 for {name} in {table.where(row)} of "
                    f"{table.path}. Received {escape_unprintable(str(value))}."
                )
            if is_labeled:
                rows[row].append(label)
    return TableLabels(tuple(names), [tuple(row) for row in rows], is_set=True)


def _binary_columns(table: Table) -> list[str]:
    """Return the columns that have 0 and 1, or one of them, and nothing else."""
    return [
        column
        for column, values in table.columns.items()
        if set(map(str.lower, map(str, values))) <= set(_BINARY)
    ]


def _separator_in(values: Sequence[Any]) -> str | None:
    texts = [value for value in values if isinstance(value, str)]
    return next((one for one in _SEPARATORS if any(one in text for text in texts)), None)


def _split(value: Any, separator: str | None, table: Table, row: int, column: str) -> list[str]:
    """Return the names of the classes in a value; none of an empty one."""
    names: Any = value
    if isinstance(value, str):
        if value.startswith("[") and value.endswith("]"):  # a list as Python or JSON writes it
            names = [one.strip().strip("'\"") for one in value[1:-1].split(",")]
        else:
            names = value.split(separator) if separator else [value]
    elif value is None:
        names = []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"data.columns: the {column} in {table.where(row)} of {table.path} is no list of "
            f"names: {escape_unprintable(str(value))}. Expected names, joined with a character or "
            "in a list."
        )
    return [name.strip() for name in names if name.strip()]


def _is_several(value: Any, known: set[str]) -> bool:
    """Return whether a value is a list of labels, or labels joined that occur alone elsewhere."""
    if isinstance(value, list):
        return True
    if not isinstance(value, str):
        return False
    if value.startswith("[") and value.endswith("]"):
        return True
    return any(
        separator in value and {part.strip() for part in value.split(separator)} <= known
        for separator in _SEPARATORS
    )


_READERS: Mapping[LabelKind, Callable[[Table, LabelColumns], RowLabels]] = {
    "class": _read_classes,
    "classes": _read_label_sets,
    "number": _read_numbers,
}
