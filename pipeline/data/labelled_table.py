"""A table of images with labels, matched with the class names of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.file_root import FileRoot
from pipeline.data.image_table import TableConfig
from pipeline.data.number_table import NumberTableConfig
from pipeline.data.remote_path import AnyPath
from pipeline.errors import DataError, escape_unprintable


def find_labelled_rows(
    path: Path, images: Path | None, task: str, class_names: Sequence[str]
) -> tuple[FileRoot, list[AnyPath], np.ndarray]:
    """Return the images of a table and their labels, by the classes of a model.

    Args:
        path: the table, whose columns have usual names.
        images: the directory that its paths are relative to; None for that of the table.
        task: a name in `TASKS`.
        class_names: of the model. Those that the table lacks have no images.

    Returns:
        What the images are relative to, their files, and their labels, as the task has them.

    Raises:
        DataError: if the table cannot be read, or has a class that the model lacks.
    """
    config = TableConfig(
        source="table",
        task=task,
        path=path.absolute(),
        images=None if images is None else images.absolute(),
        image_size=(1, 1),
    )
    listing = config.list_files()
    files = [listing.root.join(name) for name in listing.names]
    labels = _labels_of_model(listing.labels, listing.class_names, class_names, path)
    return listing.root, files, labels


def find_labelled_numbers(
    path: Path, feature_names: Sequence[str], task: str, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the numbers in the rows of a table and their labels, by the classes of a model.

    Args:
        path: the table, whose column of labels has a usual name.
        feature_names: the columns of the numbers that the model takes.
        task: a name in `TASKS`.
        class_names: of the model. Those that the table lacks have no rows.

    Returns:
        float32 (n, numbers), the labels as the task has them, and where each row is.

    Raises:
        DataError: if the table cannot be read, lacks a column, or has a class that the model lacks.
    """
    config = NumberTableConfig(
        source="table", task=task, path=path.absolute(), features=tuple(feature_names)
    )
    numbers, found, places = config.read_rows()
    labels = _labels_of_model(found.array(), found.class_names, class_names, path)
    return numbers, labels, places


def _labels_of_model(
    labels: np.ndarray, found: Sequence[str], class_names: Sequence[str], path: Path
) -> np.ndarray:
    """Return labels by the classes of a model in place of those that were found in a table."""
    unknown = [name for name in found if name not in class_names]
    if unknown:
        raise DataError(
            f"The model has no class {escape_unprintable(', '.join(unknown))}, which is in {path}. "
            f"Expected its classes: {', '.join(class_names)}."
        )
    if not found:
        return labels
    position = np.array([class_names.index(name) for name in found])
    if labels.ndim == 1:
        return position[labels]
    of_model = np.zeros((len(labels), len(class_names)), bool)
    of_model[:, position] = labels
    return of_model
