"""Files in a folder a class, matched by name with classes that are known already."""

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


def find_labelled_files(folder: Path, class_names: Sequence[str]) -> tuple[list[Path], list[int]]:
    """Return the images below a folder, and the place of each one's class in `class_names`.

    Raises:
        DataError: if there is no such folder, it holds several splits, its folders are not the
            classes, or it holds no image.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    splits = find_split_directories(folder)
    if splits:
        named = " or ".join(str(path) for path in splits.values())
        raise DataError(f"{folder} holds several splits. Name the one you mean: {named}.")
    found = subdirectories(folder)
    differences = describe_class_differences(
        found, class_names, extra="which the model does not know"
    )
    if differences:
        raise DataError(
            f"{folder} has other classes than the model.{differences} "
            f"Expected a folder for each of: {', '.join(class_names)}."
        )
    files, labels = [], []
    for label, name in enumerate(class_names):
        for path in find_images(folder / name):
            files.append(path)
            labels.append(label)
    if not files:
        raise DataError(f"The folders of the classes in {folder} hold no image.")
    return files, labels
