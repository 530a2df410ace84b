"""What a model predicts: image files, or rows of tables with numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.data.number_values import parse_numbers
from pipeline.data.table_reader import read_table
from pipeline.errors import DataError, UsageError, escape_unprintable
from pipeline.inference.input_files import expand_paths
from pipeline.inference.input_item import InputItem
from pipeline.inference.model_interface import ModelInterface


def find_inputs(arguments: Sequence[str], interface: ModelInterface) -> list[InputItem]:
    """Return the images, or the rows of tables, that arguments name.

    Args:
        arguments: paths as `expand_paths` takes them; of tables, for a model of numbers.
        interface: of the model.

    Raises:
        UsageError: if there is no such file, or a table lacks a column of the model.
    """
    if interface.feature_names is None:
        return [InputItem(str(path)) for path in expand_paths(arguments)]
    return [row for path in arguments for row in table_rows(Path(path), interface.feature_names)]


def table_rows(path: Path, names: Sequence[str]) -> list[InputItem]:
    """Return the rows of a table.

    Args:
        path: of the table.
        names: of the columns.

    Raises:
        UsageError: if the table cannot be read, or lacks a column.
    """
    try:
        table = read_table(path)
    except DataError as error:
        raise UsageError(str(error).removeprefix("data.path: ")) from None
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise UsageError(
            f"{path} has no column {escape_unprintable(', '.join(missing))}. Expected a column for "
            f"each number that the model takes: {', '.join(names)}."
        )
    rows = zip(*(table.columns[name] for name in names), strict=True)
    return [
        InputItem(str(path), line, values=row) for line, row in zip(table.lines, rows, strict=True)
    ]


def input_reader(interface: ModelInterface) -> Callable[[InputItem], np.ndarray]:
    """Return the function that reads an item as a model takes it, as `predict` expects."""
    names = interface.feature_names

    def read(item: InputItem) -> np.ndarray:
        if names is not None:
            return parse_numbers(item.values, names)
        return (
            interface.read(item.file) if item.content is None else interface.decode(item.content())
        )

    return read
