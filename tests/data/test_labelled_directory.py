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


def test_some_of_the_classes_are_enough(in_empty_folder: Path) -> None:
    plant("data/ants/1.jpg", "data/notes/about.txt")
    assert find_labelled_files(Path("data"), NAMES) == ([Path("data/ants/1.jpg")], [1])


def test_a_class_may_be_called_like_a_split(in_empty_folder: Path) -> None:
    plant("data/train/1.jpg")
    assert find_labelled_files(Path("data"), ("plane", "train"))[1] == [1]


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        ([], "The directory data does not exist."),
        (
            ["data/ants/1.jpg", "data/wasps/2.jpg", "data/flies/3.jpg"],
            "The model has no class flies, wasps, whose directory is in data. Expected directories "
            "of its classes: bees, ants.",
        ),
        (
            ["data/train/ants/1.jpg", "data/val/ants/1.jpg"],
            "data contains several splits. Choose one of them: data/train or data/val.",
        ),
        (
            ["data/ants/a.txt", "data/bees/b.txt"],
            "data has no images in directories of the model's classes: bees, ants.",
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
