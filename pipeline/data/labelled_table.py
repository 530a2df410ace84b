"""A table of images with labels, matched with the class names of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.image_table import TableConfig
from pipeline.errors import DataError, escape_unprintable


def find_labelled_rows(
    path: Path, images: Path | None, task: str, class_names: Sequence[str]
) -> tuple[Path, list[Path], np.ndarray]:
    """Return the images of a table and their labels, by the classes of a model.

    Args:
        path: the table, whose columns have usual names.
        images: the directory that its paths are relative to; None for that of the table.
        task: a name in `TASKS`.
        class_names: of the model. Those that the table lacks have no images.

    Returns:
        The directory of the images, their files, and their labels, as the task has them.

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
    unknown = [name for name in listing.class_names if name not in class_names]
    if unknown:
        raise DataError(
            f"The model has no class {escape_unprintable(', '.join(unknown))}, which is in {path}. "
            f"Expected its classes: {', '.join(class_names)}."
        )
    files = [listing.root / name for name in listing.names]
    if not listing.class_names:
        return listing.root, files, listing.labels
    position = np.array([class_names.index(name) for name in listing.class_names])
    if listing.labels.ndim == 1:
        return listing.root, files, position[listing.labels]
    labels = np.zeros((len(files), len(class_names)), bool)
    labels[:, position] = listing.labels
    return listing.root, files, labels
