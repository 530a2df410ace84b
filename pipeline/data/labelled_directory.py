"""A directory with one subdirectory per class, matched with the class names of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.directory_layout import (
    describe_class_differences,
    find_images,
    find_split_directories,
    subdirectories,
)
from pipeline.errors import DataError


def find_labelled_files(
    directory: Path, class_names: Sequence[str]
) -> tuple[list[Path], list[int]]:
    """Return the images below a directory, and the index of each one's class in `class_names`.

    Raises:
        DataError: if the directory does not exist, contains splits, or has no images, or if its
            subdirectories are not the classes.
    """
    if not directory.is_dir():
        raise DataError(f"The directory {directory} does not exist.")
    splits = find_split_directories(directory)
    if splits:
        choices = " or ".join(str(path) for path in splits.values())
        raise DataError(f"{directory} contains several splits. Choose one of them: {choices}.")
    differences = describe_class_differences(subdirectories(directory), class_names)
    if differences:
        raise DataError(
            f"The classes in {directory} differ from those of the model. {differences} "
            f"Expected one subdirectory per class: {', '.join(class_names)}."
        )
    files, labels = [], []
    for label, name in enumerate(class_names):
        for path in find_images(directory / name):
            files.append(path)
            labels.append(label)
    if not files:
        raise DataError(f"The class directories in {directory} contain no images.")
    return files, labels
