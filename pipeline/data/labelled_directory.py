"""A directory with one subdirectory per class, matched with the class names of a model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.file_walk import find_images, has_images_below, subdirectories
from pipeline.data.remote_path import AnyPath
from pipeline.data.split_names import find_splits
from pipeline.data.splits import describe_ignored
from pipeline.errors import DataError

logger = logging.getLogger(__name__)


def find_labelled_files(
    directory: Path, class_names: Sequence[str]
) -> tuple[list[AnyPath], list[int]]:
    """Return the images below a directory, and the index of each one's class in `class_names`.

    Classes without a subdirectory have no images.

    Raises:
        DataError: if the directory does not exist, contains splits, or has no images, or if one of
            its subdirectories is not a class.
    """
    if not directory.is_dir():
        raise DataError(f"The directory {directory} does not exist.")
    names = subdirectories(directory)
    unknown = [
        name for name in names if name not in class_names and has_images_below(directory / name)
    ]
    splits = find_splits(unknown)
    if "train" in splits.values() or len(splits) > 1:
        choices = " or ".join(str(directory / name) for name in splits)
        raise DataError(f"{directory} contains several splits. Choose one of them: {choices}.")
    if unknown:
        raise DataError(
            f"The model has no class {', '.join(unknown)}, whose directory is in {directory}. "
            f"Expected directories of its classes: {', '.join(class_names)}."
        )
    files: list[AnyPath] = []
    labels: list[int] = []
    ignored: Counter[str] = Counter()
    for label, name in enumerate(class_names):
        if name in names:
            images, others = find_images(directory / name)
            files += images
            labels += [label] * len(images)
            ignored += others
    if ignored:
        logger.info(f"Ignored files that are not images: {describe_ignored(ignored)}")
    if not files:
        raise DataError(
            f"{directory} has no images in directories of the model's classes: "
            f"{', '.join(class_names)}."
        )
    return files, labels
