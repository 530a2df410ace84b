"""Labelled images, or rows of numbers, that a model is evaluated on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.file_root import FileRoot, read_any_file
from pipeline.data.image_files import ImageFiles
from pipeline.data.labelled_directory import find_labelled_files
from pipeline.data.labelled_table import find_labelled_numbers, find_labelled_rows
from pipeline.data.remote_path import AnyPath, relative_path
from pipeline.data.splits import ArrayImages, Images
from pipeline.errors import DataError
from pipeline.inference.model_interface import ModelInterface
from pipeline.tasks.tasks import TASKS


@dataclass(frozen=True)
class LabelledExamples:
    """Images or rows with their labels, by the classes of a model.

    Attributes:
        names: of each, for people: relative paths, or where a row is.
        labels: as the task has them.
        read: returns the input of the model for an index, and the hexadecimal SHA-256 of its file
            or its numbers; or raises BadInputError.
        images: returns the examples with some of the names, to show them.
    """

    names: Sequence[str]
    labels: np.ndarray
    read: Callable[[int], tuple[np.ndarray, str]]
    images: Callable[[Sequence[int]], Images]


def find_labelled_examples(
    path: Path, images: Path | None, interface: ModelInterface
) -> LabelledExamples:
    """Return images, or the rows of a table of numbers, with their labels.

    Args:
        path: a directory with a sub-directory for each class of the model, or for some; or a table.
        images: the directory that the paths in a table are relative to; None for that of the table.
        interface: of the model.

    Raises:
        DataError: if there are none, or a class is not one of the model.
    """
    if interface.feature_names is not None:
        numbers, labels, places = find_labelled_numbers(
            path, interface.feature_names, interface.task, interface.class_names
        )
        return LabelledExamples(
            places,
            labels,
            lambda row: (numbers[row], hashlib.sha256(numbers[row].tobytes()).hexdigest()),
            lambda rows: ArrayImages(numbers[list(rows)]),
        )
    root, files, labels = _find_labelled_images(path, images, interface)
    names = [relative_path(file, root.path) for file in files]

    def read(row: int) -> tuple[np.ndarray, str]:
        content = read_any_file(files[row])
        return interface.decode(content), hashlib.sha256(content).hexdigest()

    return LabelledExamples(
        names,
        labels,
        read,
        lambda rows: ImageFiles(root, [names[row] for row in rows], interface.image_decoding),
    )


def _find_labelled_images(
    path: Path, images: Path | None, interface: ModelInterface
) -> tuple[FileRoot, list[AnyPath], np.ndarray]:
    """Return what images are relative to, their files, and their labels as a model has them."""
    if not path.is_dir() and path.exists():
        return find_labelled_rows(path, images, interface.task, interface.class_names)
    if not TASKS[interface.task].IS_EXCLUSIVE and path.exists():
        raise DataError(
            f"{path} is a directory, and the task of the model is {interface.task}. Expected "
            "a table of images with their labels, such as labels.csv."
        )
    files, labels = find_labelled_files(path, interface.class_names)
    return FileRoot(path), files, np.array(labels, np.int64)
