"""Directories with one subdirectory per class."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.labelled_directory import find_labelled_files
from pipeline.errors import DataError

NAMES = ("bees", "ants")  # not sorted


def plant(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_labels_follow_the_class_names_and_not_the_order_of_the_directories(
    in_empty_folder: Path,
) -> None:
    plant("data/ants/1.jpg", "data/ants/deep/2.png", "data/bees/3.jpg", "data/bees/notes.txt")
    files, labels = find_labelled_files(Path("data"), NAMES)
    assert dict(zip(map(str, files), labels, strict=True)) == {
        "data/bees/3.jpg": 0,
        "data/ants/1.jpg": 1,
        "data/ants/deep/2.png": 1,
    }


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        ([], "The directory data does not exist."),
        (
            ["data/ants/1.jpg", "data/wasps/2.jpg"],
            "The classes in data differ from those of the model. Missing: bees. Unexpected: wasps. "
            "Expected one subdirectory per class: bees, ants.",
        ),
        (
            ["data/train/ants/1.jpg", "data/val/ants/1.jpg"],
            "data contains several splits. Choose one of them: data/train or data/val.",
        ),
        (
            ["data/ants/a.txt", "data/bees/b.txt"],
            "The class directories in data contain no images.",
        ),
    ],
    ids=["absent", "classes", "splits", "empty"],
)
def test_an_unsuitable_directory_is_an_error(
    in_empty_folder: Path, planted: list[str], problem: str
) -> None:
    plant(*planted)
    with pytest.raises(DataError) as caught:
        find_labelled_files(Path("data"), NAMES)
    assert str(caught.value) == problem
